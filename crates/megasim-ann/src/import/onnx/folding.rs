//! The folding of arithmetic over the constants of an ONNX graph.

use super::super::ImportError;
use super::call::Call;
use super::constants::Constant;
use ndarray::{ArrayD, Axis, IxDyn};

/// Numbers that a folded array may hold beyond what is in the file: shape arithmetic is small.
const MAX_FOLDED: usize = 1 << 24;

/// The result of a node all of whose inputs are constants; `None`: not an operation that is folded.
pub(super) fn fold(call: &mut Call, inputs: &[Option<&Constant>]) -> Result<Option<Constant>, ImportError> {
    let Some(first) = inputs.first().copied().flatten() else { return Ok(None) };
    let shape = first.shape().to_vec();
    let rank = shape.len();
    let operation = call.operation();
    let folded = match operation {
        "Identity" | "Dropout" => Some(first.clone()),
        "Cast" => match call.integer_or("to", 1)? {
            1 | 10 | 11 | 16 => Some(Constant::Floats(first.floats())),
            _ => first.integers().and_then(|values| Constant::of_integers(values).reshape(&shape)),
        },
        "Shape" => Some(Constant::of_integers(shape.iter().map(|&size| size as i64).collect())),
        "Unsqueeze" | "Squeeze" => {
            let axes = call.axes(inputs.get(1).copied().flatten())?;
            new_shape(operation, &shape, axes.as_deref()).and_then(|shape| first.clone().reshape(&shape))
        }
        "Reshape" => {
            let target = inputs.get(1).copied().flatten().and_then(Constant::integers);
            let zero_stays = call.integer_or("allowzero", 0)? == 0;
            let target = target.and_then(|target| resolve_shape(&target, &shape, zero_stays));
            target.and_then(|shape| first.clone().reshape(&shape))
        }
        "Transpose" => {
            let axes = call.permutation(rank)?;
            Some(match first {
                Constant::Floats(array) => Constant::Floats(array.clone().permuted_axes(axes)),
                Constant::Integers(array) => Constant::Integers(array.clone().permuted_axes(axes)),
            })
        }
        "Gather" => {
            let axis = axis_of(call.integer_or("axis", 0)?, rank);
            let indices = inputs.get(1).copied().flatten();
            axis.zip(indices).and_then(|(axis, indices)| gather(first, axis, indices))
        }
        "Slice" => slice(call, first, inputs)?,
        "Concat" => {
            let axis = axis_of(call.integer_or("axis", 0)?, rank);
            let all: Option<Vec<&Constant>> = inputs.iter().copied().collect();
            axis.zip(all).and_then(|(axis, all)| concatenate(axis, &all))
        }
        "ConstantOfShape" => {
            let sizes = first.integers().and_then(|sizes| sizes.iter().map(|&n| usize::try_from(n).ok()).collect());
            let elements =
                sizes.as_ref().and_then(|sizes: &Vec<usize>| sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s)));
            let value = call.tensor("value")?.unwrap_or(Constant::Floats(ArrayD::zeros(IxDyn(&[1]))));
            match (sizes, elements, value) {
                (Some(sizes), Some(elements), value) if elements <= MAX_FOLDED && value.shape() == [1] => {
                    Some(match value {
                        Constant::Floats(value) => Constant::Floats(ArrayD::from_elem(IxDyn(&sizes), value[[0]])),
                        Constant::Integers(value) => Constant::Integers(ArrayD::from_elem(IxDyn(&sizes), value[[0]])),
                    })
                }
                _ => None,
            }
        }
        "Add" | "Sub" | "Mul" | "Div" => {
            inputs.get(1).copied().flatten().and_then(|second| arithmetic(operation, first, second))
        }
        "Sqrt" => Some(Constant::Floats(first.floats().mapv(f32::sqrt))),
        "Neg" => Some(match first {
            Constant::Floats(array) => Constant::Floats(array.mapv(|x| -x)),
            Constant::Integers(array) => Constant::Integers(array.mapv(i64::wrapping_neg)),
        }),
        "Floor" => Some(Constant::Floats(first.floats().mapv(f32::floor))),
        _ => return Ok(None),
    };
    match folded {
        Some(constant) => Ok(Some(constant)),
        None => {
            Err(call.misfit(format!("expected constants that it can be computed from, found shape {shape:?} first")))
        }
    }
}

/// An axis, negative ones counted from the end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// Shape after axes of size 1 are added (at these places of the result) or taken away (all, where none are named).
pub(super) fn new_shape(operation: &str, shape: &[usize], axes: Option<&[i64]>) -> Option<Vec<usize>> {
    if operation == "Squeeze" {
        let Some(axes) = axes else { return Some(shape.iter().copied().filter(|&size| size != 1).collect()) };
        let axes: Vec<usize> = axes.iter().map(|&axis| axis_of(axis, shape.len())).collect::<Option<_>>()?;
        let keeps = |&(axis, _): &(usize, &usize)| !axes.contains(&axis);
        let all_single = axes.iter().all(|&axis| shape[axis] == 1);
        return all_single.then(|| shape.iter().enumerate().filter(keeps).map(|(_, &size)| size).collect());
    }
    let axes = axes?;
    let rank = shape.len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Option<_>>()?;
    let mut old = shape.iter();
    (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { old.next().copied() }).collect()
}

/// The target of a reshape with its 0 (as before) and -1 (the rest) filled in.
pub(super) fn resolve_shape(target: &[i64], shape: &[usize], zero_stays: bool) -> Option<Vec<usize>> {
    let elements: usize = shape.iter().product();
    let mut sizes = Vec::new();
    for (axis, &size) in target.iter().enumerate() {
        sizes.push(match size {
            0 if zero_stays => Some(*shape.get(axis)?),
            -1 => None,
            size => Some(usize::try_from(size).ok()?),
        });
    }
    let known = sizes.iter().flatten().try_fold(1usize, |n, &size| n.checked_mul(size))?;
    let unknown = sizes.iter().filter(|size| size.is_none()).count();
    if unknown > 1
        || (unknown == 1 && (known == 0 || !elements.is_multiple_of(known)))
        || (unknown == 0 && known != elements)
    {
        return None;
    }
    Some(sizes.into_iter().map(|size| size.unwrap_or_else(|| elements / known)).collect())
}

fn gather(data: &Constant, axis: usize, indices: &Constant) -> Option<Constant> {
    let size = data.shape()[axis];
    let picked: Vec<usize> = indices.integers()?.iter().map(|&index| axis_of(index, size)).collect::<Option<_>>()?;
    let shape = [&data.shape()[..axis], indices.shape(), &data.shape()[axis + 1..]].concat();
    let elements = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size))?;
    if elements > MAX_FOLDED {
        return None;
    }
    let gathered = match data {
        Constant::Floats(array) => Constant::Floats(array.select(Axis(axis), &picked)),
        Constant::Integers(array) => Constant::Integers(array.select(Axis(axis), &picked)),
    };
    gathered.reshape(&shape)
}

fn slice(call: &mut Call, data: &Constant, inputs: &[Option<&Constant>]) -> Result<Option<Constant>, ImportError> {
    let mut numbers = |place: usize, name: &'static str| -> Result<Option<Vec<i64>>, ImportError> {
        match inputs.get(place).copied().flatten() {
            Some(constant) => Ok(constant.integers()),
            None => call.integers(name),
        }
    };
    let (starts, ends) = (numbers(1, "starts")?, numbers(2, "ends")?);
    let (axes, steps) = (numbers(3, "axes")?, numbers(4, "steps")?);
    let Some((starts, ends)) = starts.zip(ends).filter(|(starts, ends)| starts.len() == ends.len()) else {
        return Ok(None);
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    let rank = data.shape().len();
    let mut sliced = data.clone();
    for (i, &start) in starts.iter().enumerate() {
        let axis = axes.get(i).and_then(|&axis| axis_of(axis, rank));
        let (Some(axis), Some(&step)) = (axis, steps.get(i).filter(|&&step| step != 0)) else { return Ok(None) };
        let Some(picked) = picked(start, ends[i], step, data.shape()[axis]) else { return Ok(None) };
        sliced = match sliced {
            Constant::Floats(array) => Constant::Floats(array.select(Axis(axis), &picked)),
            Constant::Integers(array) => Constant::Integers(array.select(Axis(axis), &picked)),
        };
    }
    Ok(Some(sliced))
}

/// The places of an axis from `start` to before `end`, as Python counts them; none where the step is 0.
pub(super) fn picked(start: i64, end: i64, step: i64, size: usize) -> Option<Vec<usize>> {
    let size = i64::try_from(size).ok()?;
    let from_end = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
    // Upwards within 0..=size, downwards within -1..size.
    let (low, high) = match step {
        0 => return None,
        1.. => (0, size),
        _ => (-1, size - 1),
    };
    let end = from_end(end).clamp(low, high);
    let mut at = from_end(start).clamp(low, high);
    let mut picked = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        picked.push(at as usize);
        at = at.saturating_add(step);
    }
    Some(picked)
}

fn concatenate(axis: usize, parts: &[&Constant]) -> Option<Constant> {
    let integers: Option<Vec<_>> = parts
        .iter()
        .map(|part| match part {
            Constant::Integers(array) => Some(array.view()),
            Constant::Floats(_) => None,
        })
        .collect();
    if let Some(integers) = integers {
        return ndarray::concatenate(Axis(axis), &integers).ok().map(Constant::Integers);
    }
    let floats: Vec<ArrayD<f32>> = parts.iter().map(|part| part.floats()).collect();
    let views: Vec<_> = floats.iter().map(|array| array.view()).collect();
    ndarray::concatenate(Axis(axis), &views).ok().map(Constant::Floats)
}

fn arithmetic(operation: &str, a: &Constant, b: &Constant) -> Option<Constant> {
    let rank = a.shape().len().max(b.shape().len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let mut shape = Vec::new();
    for axis in 0..rank {
        let (left, right) = (size(a.shape(), axis), size(b.shape(), axis));
        shape.push(match (left, right) {
            (left, right) if left == right => left,
            (1, size) | (size, 1) => size,
            _ => return None,
        });
    }
    if shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size))? > MAX_FOLDED {
        return None;
    }
    let shape = IxDyn(&shape);
    match (a, b) {
        (Constant::Integers(a), Constant::Integers(b)) => {
            let (a, b) = (a.broadcast(shape.clone())?, b.broadcast(shape.clone())?);
            let values: Option<Vec<i64>> = a
                .iter()
                .zip(b.iter())
                .map(|(&a, &b)| match operation {
                    "Add" => a.checked_add(b),
                    "Sub" => a.checked_sub(b),
                    "Mul" => a.checked_mul(b),
                    _ => a.checked_div(b),
                })
                .collect();
            ArrayD::from_shape_vec(shape, values?).ok().map(Constant::Integers)
        }
        _ => {
            let (a, b) = (a.floats(), b.floats());
            let (a, b) = (a.broadcast(shape.clone())?, b.broadcast(shape)?);
            Some(Constant::Floats(match operation {
                "Add" => &a + &b,
                "Sub" => &a - &b,
                "Mul" => &a * &b,
                _ => &a / &b,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_targets_are_filled_in() {
        assert_eq!(resolve_shape(&[0, -1], &[2, 3, 4], true), Some(vec![2, 12]));
        assert_eq!(resolve_shape(&[-1, -1], &[2, 3], true), None);
        assert_eq!(resolve_shape(&[4, -1], &[2, 3], true), None);
        assert_eq!(resolve_shape(&[7], &[2, 3], true), None);
        assert_eq!(new_shape("Unsqueeze", &[3], Some(&[0, -1])), Some(vec![1, 3, 1]));
        assert_eq!(new_shape("Squeeze", &[1, 3, 1], None), Some(vec![3]));
        assert_eq!(new_shape("Squeeze", &[1, 3, 1], Some(&[1])), None);
    }
}
