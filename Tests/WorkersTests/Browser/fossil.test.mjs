// Patches in Fossil's format, applied. Run by `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { carillon } from "./stage.mjs";

const bytes = (text) => new TextEncoder().encode(text);
const patched = (base, patch) => new TextDecoder().decode(carillon.patched(bytes(base), bytes(patch)));

test("copies and literals make the target", () => {
  const base = "abcdefghij".repeat(500);
  assert.equal(patched(base, "1EB\nc4@0,3:ONEc4@c4,3RrhzR;"), `${base.slice(0, 2500)}ONE${base.slice(2500)}`);
  assert.equal(patched(base, "3\n3:abc1XObC0;"), "abc");
  assert.equal(patched(base, "0\n0;"), "");
  assert.equal(patched("", "9\n9:~~~~~~~~~1v~Fox;"), "~~~~~~~~~");
});

test("what is no patch for this base makes nothing, and no mistake costs memory", () => {
  for (const patch of [
    "", "3", "3\n", "3\n3:abc", "3\n3:abc1XObC1;", "3\n3:ab", "2\n3:abc1XObC0;", "4\n3:abc1XObC0;", "3\n3@0,1XObC0;",
    "3\n3@zzzzz,1XObC0;", "3\n3@0;1XObC0;", "3\n3!abc", "\n3:abc1XObC0;", "~~~~~~~~~~~~\n0;", "zzzzz\n0;",
    "3\n:abc1XObC0;",
  ]) assert.throws(() => patched("xy", patch), RangeError, patch);
});
