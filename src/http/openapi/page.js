// Shows /openapi.json: operations, parameters and schemas; GETs can be tried.
"use strict";

const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// A text, with what stands between backticks as code.
const prose = (text) => (text || "").split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));

const named = (reference) => reference.split("/").pop();

// The schemas by name.
const components = {};

// A type in words, with a link where it is a schema of its own.
const typeOf = (schema) => {
  if (schema.$ref) {
    const target = components[named(schema.$ref)] || {};
    return target.enum ? typeOf(target) : make("a", { href: "#" + named(schema.$ref) }, named(schema.$ref));
  }
  const parts = schema.anyOf || schema.allOf;
  if (parts) {
    const all = parts.map(typeOf);
    return make("span", {}, ...all.flatMap((part, index) => (index ? [schema.anyOf ? " or " : " and ", part] : [part])));
  }
  if (schema.enum) {
    return make("span", {}, schema.enum.map(String).join(", "));
  }
  const types = [].concat(schema.type || "any").join(" or ");
  return schema.items ? make("span", {}, types + " of ", typeOf(schema.items)) : make("span", {}, types);
};

const about = (schema) => {
  const cell = make("div", {}, ...prose(schema.description));
  const difference = schema["x-tollgate-difference"];
  if (difference && difference !== schema.description) {
    cell.append(make("div", { className: "differs" }, ...prose(difference)));
  } else if (difference) {
    cell.className = "differs";
  }
  return cell;
};

const table = (rows) =>
  make("table", {}, ...rows.map(([name, schema, required]) =>
    make("tr", {},
      make("td", {}, make("code", {}, name + (required ? " *" : ""))),
      make("td", {}, typeOf(schema)),
      make("td", {}, about(schema)))));

const properties = (schema) =>
  table(Object.entries(schema.properties || {}).map(([name, it]) => [name, it, (schema.required || []).includes(name)]));

const json = (value) => make("pre", {}, JSON.stringify(value, null, 2));

// A form that sends the GET as it is filled in.
const trial = (path, parameters) => {
  const inputs = parameters.map((parameter) => [parameter, make("input", { placeholder: parameter.name })]);
  const answer = make("div", {});
  const send = async () => {
    let target = path;
    const query = new URLSearchParams();
    for (const [{ name, in: place }, { value }] of inputs) {
      if (place === "path") {
        target = target.replace("{" + name + "}", encodeURIComponent(value));
      } else if (value) {
        query.set(name, value);
      }
    }
    const token = document.getElementById("token").value;
    const headers = token ? { authorization: "Bearer " + token } : {};
    try {
      const response = await fetch(target + (query.size ? "?" + query : ""), { headers });
      answer.replaceChildren(make("p", {}, String(response.status)), json(await response.json()));
    } catch (error) {
      answer.replaceChildren(make("p", {}, String(error)));
    }
  };
  const button = make("button", { type: "button", onclick: send }, "Try");
  return make("div", {}, make("p", {}, ...inputs.flatMap(([, input]) => [input, " "]), button), answer);
};

const operation = (path, verb, it) => {
  const box = make("details", { id: it.operationId },
    make("summary", {}, make("span", { className: "verb" }, verb.toUpperCase()), make("code", {}, path), " ", it.summary));
  box.append(about(it), make("p", {}, "gRPC: ", make("code", {}, it["x-tollgate-method"])));
  const parameters = it.parameters || [];
  if (parameters.length) {
    box.append(make("h4", {}, "Parameters"));
    box.append(table(parameters.map((one) => [one.name, { ...one.schema, description: one.description }, one.required])));
  }
  const content = it.requestBody && it.requestBody.content["application/json"];
  if (content) {
    box.append(make("h4", {}, "Body: ", typeOf(content.schema)), json(content.example));
  }
  box.append(make("h4", {}, "Answers"));
  for (const [status, response] of Object.entries(it.responses)) {
    const schema = response.content && response.content["application/json"].schema;
    const row = make("p", {}, make("code", {}, status), " ", response.description || named(response.$ref || ""));
    if (schema && schema.properties) {
      row.append(properties(schema));
    } else if (schema) {
      row.append(" ", typeOf(schema));
    }
    box.append(row);
  }
  if (verb === "get") {
    box.append(make("h4", {}, "Try it"), trial(path, parameters));
  }
  return box;
};

const show = async () => {
  const description = await (await fetch("/openapi.json")).json();
  document.getElementById("title").textContent = description.info.title + " " + description.info.version;
  document.getElementById("about").append(...prose(description.info.description));
  Object.assign(components, description.components.schemas);
  const operations = document.getElementById("operations");
  for (const [path, verbs] of Object.entries(description.paths)) {
    operations.append(make("h3", {}, path));
    for (const [verb, it] of Object.entries(verbs)) {
      operations.append(operation(path, verb, it));
    }
  }
  const schemas = document.getElementById("schemas");
  for (const [name, schema] of Object.entries(components).filter(([, it]) => it.properties)) {
    schemas.append(make("details", { id: name, open: location.hash === "#" + name },
      make("summary", {}, name), make("p", {}, ...prose(schema.description)), properties(schema)));
  }
};

// A link to a schema opens it.
addEventListener("hashchange", () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target) {
    target.open = true;
  }
});
show();
