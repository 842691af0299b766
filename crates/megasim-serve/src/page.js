"use strict";

// The forms, jobs and results of a server of megasim. Addresses are relative to the page, which has the token.
const $ = (id) => document.getElementById(id);
const SIDES = ["left", "right"];
const state = { commands: [], values: {}, suggestions: {}, jobs: [], shown: { left: 0, right: 0 }, follow: 0,
  open: {} };
// Commands whose page of results is asked for by default.
const WITH_REPORT = ["classify", "compare", "latency", "sweep"];
const OVER = ["done", "failed", "cancelled"];
const PAUSE = 400;

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text ? JSON.parse(text) : {};
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === false || value === undefined || value === null) continue;
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const say = (id, text) => { $(id).textContent = text; };
const command = () => state.commands.find((it) => it.name === $("command").value);
const fields = (of) => of.groups.flatMap((group) => group.fields);
const values = (of) => (state.values[of.name] ||= {});
const isGiven = (value) => value !== undefined && value !== "" && value !== false;

// What the form says, as settings.
function settings() {
  const of = command();
  const given = {};
  for (const field of fields(of)) {
    const value = values(of)[field.name];
    if (!isGiven(value)) continue;
    given[field.name] = field.several && typeof value === "string" ? value.split("\n").filter(Boolean) : value;
  }
  return { command: of.name, arguments: given };
}

let later = 0;
function changed() {
  sessionStorage.setItem("form", JSON.stringify({ command: $("command").value, values: state.values }));
  clearTimeout(later);
  later = setTimeout(look, 150);
}

// The command line that the form says, what is wrong with it, and which options have no effect.
async function look() {
  const of = settings();
  try {
    const { line, fault, without_effect } = await ask("api/line", of);
    if (of.command !== $("command").value) return;
    say("line", line);
    say("fault", fault || "");
    $("run").disabled = Boolean(fault);
    mark(fault || "", without_effect);
  } catch (error) {
    say("fault", error.message);
    $("run").disabled = true;
  }
}

function mark(fault, without) {
  const of = command();
  for (const field of fields(of)) {
    const box = $(`field-${field.name}`);
    const names = fault.match(/--[a-z][a-z-]*/g) || [];
    const isWrong = names.includes(`--${field.name}`) || fault.startsWith(`${field.name}:`);
    box.setAttribute("aria-invalid", String(isWrong));
    // What has no effect on the chosen input is not offered; a value that is there has to be seen.
    box.closest(".field").hidden = field.name in without && !isGiven(values(of)[field.name]);
  }
  for (const part of [...$("form").querySelectorAll("details")].reverse()) {
    part.hidden = [...part.querySelectorAll(".field")].every((it) => it.hidden);
  }
}

// What a field may be chosen from.
function offered(field) {
  const { models = [], data = [], netdirs = [] } = state.suggestions;
  const known = { model: models, target: [...models, ...netdirs], netdir: netdirs, subject: netdirs, data };
  return known[field.name] || [];
}

function input(of, field) {
  const id = `field-${field.name}`;
  const value = values(of)[field.name];
  const set = (given) => { values(of)[field.name] = given; changed(); };
  const shown = { id, "aria-describedby": `${id}-help`, title: field.help, required: field.required };
  if (field.kind === "flag") {
    const box = element("input", { ...shown, type: "checkbox", onchange: (event) => set(event.target.checked) });
    box.checked = Boolean(value);
    return box;
  }
  const ordinary = field.default !== null ? `default: ${field.default}` : "";
  if (field.choices.length && !field.several) {
    const select = element("select", { ...shown, onchange: (event) => set(event.target.value) });
    select.append(element("option", { value: "", text: ordinary || "not set" }));
    field.choices.forEach((choice) => select.append(element("option", { value: choice, text: choice })));
    select.value = value || "";
    return select;
  }
  const text = { ...shown, spellcheck: "false", autocomplete: "off", oninput: (event) => set(event.target.value) };
  const placeholder = ordinary || field.value_name;
  const box = field.several
    ? element("textarea", { ...text, rows: 2, placeholder: `${placeholder} (one on each line)` })
    : element("input", { ...text, placeholder, list: offered(field).length ? `${id}-list` : false });
  box.value = Array.isArray(value) ? value.join("\n") : value ?? "";
  return box;
}

function row(of, field) {
  const control = input(of, field);
  const name = field.name.replaceAll("-", " ") + (field.required ? " (required)" : "");
  const label = element("label", { for: control.id, title: field.help, text: name });
  const help = element("small", { id: `${control.id}-help`, text: field.help });
  const options = offered(field).map((value) => element("option", { value }));
  const list = element("datalist", { id: `${control.id}-list` }, ...options);
  const parts = field.kind === "flag" ? [control, " ", label, help] : [label, control, help, list];
  return element("div", { class: "field" }, ...parts);
}

function draw() {
  const of = command();
  say("about", of.about);
  const has = (all) => all.some((field) => field.required || isGiven(values(of)[field.name]));
  // What was opened or closed by hand stays so.
  const folded = (name, all, ...inside) => {
    const key = `${of.name}/${name}`;
    const keep = (event) => { if (event.target.isConnected) state.open[key] = event.target.open; };
    const summary = element("summary", { text: name });
    const made = element("details", { open: state.open[key] ?? has(all) }, summary, ...inside);
    made.addEventListener("toggle", keep);
    return made;
  };
  const parts = of.groups.map((group) => {
    const first = group.fields.filter((field) => field.common || field.required);
    const rest = group.fields.filter((field) => !first.includes(field));
    const rows = (all) => all.map((field) => row(of, field));
    const more = first.length && rest.length
      ? [folded(`${rest.length} more of ${group.heading}`, rest, ...rows(rest))]
      : rows(rest);
    return folded(group.heading, group.fields, ...rows(first), ...more);
  });
  $("form").replaceChildren(...parts);
  changed();
}

// What is most likely meant: the newest netfiles, the data of the command before, and results with free names.
async function fill() {
  state.suggestions = await ask("api/suggestions");
  $("list-settings").replaceChildren(...state.suggestions.settings.map((value) => element("option", { value })));
  const of = command();
  const given = values(of);
  const has = (name) => fields(of).some((field) => field.name === name);
  const set = (name, value) => { if (has(name) && !given[name] && value) given[name] = value; };
  const last = (...names) =>
    Object.values(state.values).flatMap((it) => names.map((name) => it[name])).filter(Boolean).pop();
  const { models, data, netdirs } = state.suggestions;
  set("model", last("model", "target") || models[0]);
  set("target", last("model") || models[0]);
  if (of.name !== "inspect") set("data", last("data") || data[0]);
  set("netdir", netdirs[0]);
  set("subject", netdirs[0]);
  const { entries } = await ask("api/files?path=");
  const planned = state.jobs.filter((it) => !OVER.includes(it.state)).flatMap((it) => it.results);
  const taken = new Set([...entries.map((entry) => entry.name), ...planned]);
  const renew = (name, stem, ending) => {
    const own = new RegExp(`^${stem}-[0-9]+${ending}$`);
    if (!has(name) || given[name] && !(own.test(given[name]) && taken.has(given[name]))) return;
    let k = 1;
    while (taken.has(`${stem}-${k}${ending}`)) k += 1;
    given[name] = `${stem}-${k}${ending}`;
  };
  if (of.name === "convert") renew("out", "netfiles", "");
  if (of.name === "sweep") renew("out", "sweep", "");
  if (WITH_REPORT.includes(of.name)) renew("report", of.name, ".html");
}

async function choose() {
  await fill().catch((error) => say("fault", error.message));
  draw();
}

async function start(what) {
  const { number } = await ask("api/jobs", what);
  state.follow = number;
  await refresh();
}

async function run() {
  $("run").disabled = true;
  try {
    await start(settings());
    // The next run has its own results.
    await choose();
  } catch (error) {
    say("fault", error.message);
    $("run").disabled = false;
  }
}

// Files of the demo, and a form that uses them.
async function example() {
  try {
    const { model, data } = await ask("api/example", {});
    state.values = { convert: { model, data } };
    $("command").value = "convert";
    await choose();
  } catch (error) {
    say("fault", error.message);
  }
}

// Layers and obstacles of the network that the form is about.
async function inspect() {
  const { model, target, netdir, subject } = values(command());
  const chosen = model || target || netdir || subject;
  try {
    if (!chosen) throw new Error("expected a model, found none");
    await start({ command: "inspect", arguments: { target: chosen } });
  } catch (error) {
    say("fault", error.message);
  }
}

// After a conversion its network is classified with.
async function classify(netdir) {
  const { data } = state.values.convert || {};
  Object.assign(state.values.classify ||= {}, { netdir, ...(data ? { data } : {}) });
  $("command").value = "classify";
  await choose();
  $("run").focus();
}

const WORDS = {
  waiting: "waiting", running: "running", stopping: "stopping", done: "done", failed: "failed", cancelled: "cancelled",
};

// An entry of the list; it changes in place, so that a button is not replaced while it is pressed.
function entry(number) {
  const parts = {
    name: element("span"), word: element("strong"), time: element("span"), line: element("code"),
    bar: element("progress", { "aria-label": `progress of job ${number}` }), share: element("p"),
    last: element("p", { class: "bad" }),
    cancel: element("button", { type: "button", text: "Cancel", "aria-label": `Cancel job ${number}`,
      onclick: () => ask(`api/jobs/${number}/cancel`, {}).catch(() => {}).then(refresh) }),
    show: element("button", { type: "button", text: "Show", "aria-label": `Show job ${number}`,
      onclick: () => view("left", number).then(() => $("results").scrollIntoView()) }),
    next: element("button", { type: "button", text: "Classify with it",
      onclick: () => classify(state.jobs.find((it) => it.number === number).results[0]) }),
  };
  const { name, word, time, line, bar, share, last, cancel, show, next } = parts;
  const made = element("li", { "data-job": number }, element("p", {}, name, word, time), element("p", {}, line), bar,
    share, last, element("p", { class: "buttons" }, cancel, show, next));
  made.parts = parts;
  return made;
}

function update(made, it) {
  const { name, word, time, line, bar, share, last, cancel, next } = made.parts;
  const text = (of, value) => { if (of.textContent !== value) of.textContent = value; };
  const { part, done, of } = it.progress || {};
  made.dataset.state = it.state;
  text(name, `${it.number}. ${it.command}: `);
  text(word, WORDS[it.state]);
  word.className = it.state === "done" ? "good" : it.state === "failed" ? "bad" : "";
  text(time, it.seconds ? `, ${it.seconds.toFixed(1)} s` : "");
  text(line, it.line);
  bar.hidden = !["running", "stopping"].includes(it.state);
  if (of) { bar.max = of; bar.value = done; } else bar.removeAttribute("value");
  share.hidden = bar.hidden;
  text(share, of ? `${part}: ${done} of ${of}` : "starting");
  last.hidden = it.state !== "failed";
  text(last, it.last);
  cancel.hidden = OVER.includes(it.state);
  next.hidden = it.state !== "done" || it.command !== "convert" || !it.results.length;
}

async function refresh() {
  const jobs = await ask("api/jobs");
  const isDone = (it) => it.state === "done";
  const hasNew = jobs.filter(isDone).length > state.jobs.filter(isDone).length;
  const isLonger = jobs.length !== state.jobs.length;
  state.jobs = jobs;
  const list = $("jobs");
  const known = new Map([...list.children].map((it) => [Number(it.dataset.job), it]));
  for (const it of jobs) {
    const made = known.get(it.number) || entry(it.number);
    update(made, it);
    if (!known.delete(it.number)) list.prepend(made);
  }
  known.forEach((it) => it.remove());
  $("jobs-none").hidden = jobs.length > 0;
  $("results").hidden = jobs.length === 0;
  if (isLonger) {
    for (const side of SIDES) {
      const options = jobs.map((it) => element("option", { value: it.number, text: `${it.number}. ${it.command}` }));
      $(side).replaceChildren(element("option", { value: "0", text: "nothing" }), ...options);
      $(side).value = String(state.shown[side]);
    }
  }
  const followed = jobs.find((it) => it.number === state.follow);
  if (followed && OVER.includes(followed.state)) {
    state.follow = 0;
    await view("left", followed.number);
  }
  if (hasNew && state.commands.length) {
    // What was written may be chosen now; what is being typed stays.
    const isTyped = $("form").contains(document.activeElement);
    if (!isTyped) await choose();
  }
}

let asked = 0;
async function view(side, number) {
  state.shown[side] = number;
  $(side).value = String(number);
  const turn = asked += 1;
  const results = SIDES.filter((it) => state.shown[it]).map((it) =>
    result(it, state.shown[it]).catch((error) => element("p", { class: "bad", text: error.message })));
  const sides = await Promise.all(results);
  if (turn === asked) $("sides").replaceChildren(...sides);
}

const address = (path) => "file/" + path.split("/").map(encodeURIComponent).join("/");
const link = (path) => element("li", {},
  element("a", { href: address(path), target: "_blank", rel: "noopener", text: path }));

// Files of a result: itself, or those in a directory.
async function files({ path, directory }) {
  if (!directory) return [link(path)];
  const listed = await ask(`api/files?path=${encodeURIComponent(path)}`);
  const names = listed.entries.filter((it) => !it.directory).map((it) => `${path}/${it.name}`);
  const more = names.length - 40 + listed.more;
  const rest = more > 0 ? [element("li", { text: `${more} more in ${path}` })] : [];
  return [element("li", {}, element("details", {}, element("summary", { text: `${path}/` }),
    element("ul", {}, ...names.slice(0, 40).map(link), ...rest)))];
}

async function result(side, number) {
  const { job: it, output, results, records } = await ask(`api/jobs/${number}`);
  const pages = results.map((it) => it.path).filter((path) => path.endsWith(".html"));
  const written = (await Promise.all(results.map(files))).flat();
  const parts = [element("h3", { text: `Job ${number}: ${it.command}, ${WORDS[it.state]}` })];
  if (written.length) parts.push(element("ul", {}, ...written, ...records.map(link)));
  const text = element("pre", { tabindex: "0", "aria-label": `output of job ${number}` });
  text.textContent = output || "No output yet.";
  parts.push(element("details", { open: !pages.length }, element("summary", { text: "Output" }), text));
  // A page of results has no part in this one.
  for (const path of pages) {
    parts.push(element("iframe", { src: address(path), sandbox: "allow-scripts", title: `${path} of job ${number}` }));
  }
  return element("div", { class: "side", "data-side": side }, ...parts);
}

async function save() {
  const what = { path: $("settings").value, settings: settings(), replace: $("replace").checked };
  try {
    const { path } = await ask("api/settings", what);
    say("settings-said", `Saved. In a terminal: megasim run-settings ${path}`);
  } catch (error) {
    say("settings-said", error.message);
  }
}

async function load() {
  try {
    const found = await ask(`api/settings?path=${encodeURIComponent($("settings").value)}`);
    $("command").value = found.command;
    const text = (value) => Array.isArray(value) ? value.map(String).join("\n") : String(value);
    const entries = Object.entries(found.arguments);
    const given = entries.map(([name, value]) => [name, typeof value === "boolean" ? value : text(value)]);
    state.values[found.command] = Object.fromEntries(given);
    draw();
    say("settings-said", "Loaded.");
  } catch (error) {
    say("settings-said", error.message);
  }
}

async function watch() {
  try {
    await refresh();
  } catch {
    say("fault", "The server has ended.");
  }
  setTimeout(watch, PAUSE);
}

async function open() {
  const { commands, directory } = await ask("api/forms");
  state.commands = commands;
  say("directory", directory);
  $("command").replaceChildren(...commands.map((it) => element("option", { value: it.name, text: it.name })));
  try {
    const kept = JSON.parse(sessionStorage.getItem("form"));
    if (kept && commands.some((it) => it.name === kept.command)) {
      $("command").value = kept.command;
      state.values = kept.values;
    }
  } catch { /* What was kept is of another version. */ }
  const handlers = { example, look: inspect, run, save, load,
    copy: () => navigator.clipboard?.writeText($("line").textContent),
    clear: () => { state.values[command().name] = {}; choose(); } };
  for (const [id, handler] of Object.entries(handlers)) $(id).addEventListener("click", handler);
  $("command").addEventListener("change", choose);
  $("form").addEventListener("submit", (event) => { event.preventDefault(); if (!$("run").disabled) run(); });
  for (const side of SIDES) $(side).addEventListener("change", (event) => view(side, Number(event.target.value)));
  state.jobs = [];
  await refresh();
  await choose();
  // After a reload: the job that runs, or the last one.
  const running = state.jobs.find((it) => !OVER.includes(it.state));
  const isFree = !state.shown.left && !state.follow;
  if (isFree && running) state.follow = running.number;
  else if (isFree && state.jobs.length) await view("left", state.jobs[state.jobs.length - 1].number);
  watch();
}

open().catch((error) => say("fault", error.message));
