// Turns the CEL specification's tests, as the npm package has them, into what Petrel's test reads:
//
//   tests.json         every test: file, section, name, expression, bindings, what is expected
//   inapplicable.txt   the tests that ask for Protocol Buffers messages or enums, each with the name
//
// Run by `cargo xtask deps --cel-spec` in target/dev/cel-spec, beside node_modules. The second file is
// committed as rules/cel/tests/conformance/inapplicable.txt, and the test compares the two.

import { writeFileSync } from "node:fs";
import { tests as suite } from "@bufbuild/cel-spec/testdata/conformance.js";

/** What a test may say. Anything else may matter, and stops the conversion. */
const KNOWN = [
  ...["name", "description", "expr", "container", "disableCheck", "checkOnly", "typeEnv", "bindings"],
  ...["value", "typedResult", "evalError"],
];

/** Messages that are values of the language itself. */
const VALUES = ["google.protobuf.Timestamp", "google.protobuf.Duration"];

/** Strings and bytes, raw ones too, and comments: no names stand in them. */
const LITERALS = [
  /[rRbB]{0,2}("""[^]*?"""|'''[^]*?''')/,
  /[rR][bB]?("[^"\n]*"|'[^'\n]*')/,
  /[bB]?("(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*')/,
  /\/\/.*/,
];
const LITERAL = new RegExp(LITERALS.map((one) => one.source).join("|"), "g");

/**
 * The first name in an expression that is a message's, an enum's or an enum constant's: in these tests
 * they, and only they, have a step that begins with a capital. `google.protobuf.Timestamp` is a type of
 * the language, but `google.protobuf.Timestamp{…}` makes a message.
 */
function nameInExpression(expression) {
  const code = expression.replace(LITERAL, "''");
  for (const [whole, name, brace] of code.matchAll(/(?<!\w)([A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)(\s*\{)?/g)) {
    const makesMessage = brace !== undefined && name !== "in";
    if (makesMessage || (/(^|\.\s*)[A-Z]/.test(name) && !VALUES.includes(name))) {
      return whole;
    }
  }
  return undefined;
}

/** The first message or enum named anywhere in values, declarations or types. */
function nameInData(data) {
  if (Array.isArray(data)) {
    return data.map(nameInData).find((name) => name !== undefined);
  }
  if (data === null || typeof data !== "object") {
    return undefined;
  }
  for (const [key, value] of Object.entries(data)) {
    const named = {
      "@type": () => value.replace(/^.*\//, ""),
      messageType: () => value,
      // A type as a value: those of the language have no dot.
      typeValue: () => (value.includes(".") ? value : undefined),
      enumValue: () => value.type,
      wrapper: () => `the wrapper of ${value}`,
    }[key]?.();
    const name = named ?? nameInData(value);
    if (name !== undefined && !VALUES.includes(name)) {
      return name;
    }
  }
  return undefined;
}

function expectation(test) {
  if (test.checkOnly) {
    return { checkOnly: true };
  }
  if (test.evalError) {
    return { error: test.evalError.errors.map((error) => error.message).join("; ") };
  }
  // The specification: without an expectation it is `true`.
  return { value: test.value ?? test.typedResult?.result ?? { boolValue: true } };
}

function convert(file, section, test) {
  const unknown = Object.keys(test).filter((key) => !KNOWN.includes(key));
  if (unknown.length > 0) {
    throw new Error(`${file}/${section}/${test.name}: unknown: ${unknown}`);
  }
  const bindings = Object.entries(test.bindings ?? {}).map(([name, bound]) => {
    if (bound.value === undefined) {
      throw new Error(`${file}/${section}/${test.name}: ${name} is bound to no value`);
    }
    return [name, bound.value];
  });
  return {
    id: `${file}/${section}/${test.name}`,
    file,
    expr: test.expr,
    container: test.container,
    disableCheck: test.disableCheck,
    bindings: Object.fromEntries(bindings),
    expected: expectation(test),
  };
}

const tests = [];
const inapplicable = [];
const timesSeen = new Map();
for (const { name: file, suites: sections = [] } of suite.suites) {
  for (const { name: section, tests: originals = [] } of sections) {
    for (const { original } of originals) {
      const test = convert(file, section, original);
      const times = (timesSeen.get(test.id) ?? 0) + 1;
      timesSeen.set(test.id, times);
      if (times > 1) {
        test.id += `#${times}`;
      }
      tests.push(test);
      const { bindings, typeEnv, value, typedResult } = original;
      const named = nameInExpression(original.expr) ?? nameInData([bindings, typeEnv, value, typedResult]);
      if (named !== undefined) {
        inapplicable.push(`${test.id}: ${named.replace(/\s+/g, "")}`);
      }
    }
  }
}
// A double is written as a text, which has its sign when it is zero and can be read without loss.
const doubles = (key, value) =>
  key === "doubleValue" ? (Object.is(value, -0) ? "-0" : String(value)) : value;
writeFileSync("tests.json", `${JSON.stringify(tests, doubles, 1)}\n`);
writeFileSync("inapplicable.txt", `${inapplicable.join("\n")}\n`);
console.log(`${tests.length} tests, ${inapplicable.length} of them inapplicable`);
