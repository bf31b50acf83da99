// Differences between publications, in the format of the Fossil version control system.
//
//     <size of the target> \n
//     <length> @ <offset> ,        copies so many bytes of the base from there
//     <length> : <bytes>           takes these bytes
//     <checksum> ;                 the end
//
// Numbers have the base 64.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
/** The digit that a byte stands for, plus one; 0 for none. */
const DIGIT_OF_BYTE = new Uint8Array(256);
for (let digit = 0; digit < DIGITS.length; digit += 1) DIGIT_OF_BYTE[DIGITS.charCodeAt(digit)] = digit + 1;

/** No publication is as large, in bytes: a patch that says so is none. */
const LARGEST_TARGET = 2 ** 28;

/**
 * What a patch makes of its base.
 * @param {Uint8Array} base
 * @param {Uint8Array} patch
 * @returns {Uint8Array}
 * @throws {RangeError} The patch is none, or is one for another base.
 */
export function patched(base, patch) {
  let at = 0;
  const number = () => {
    let value = 0;
    const start = at;
    for (; DIGIT_OF_BYTE[patch[at]] > 0; at += 1) value = value * 64 + DIGIT_OF_BYTE[patch[at]] - 1;
    demand(at > start && value < 2 ** 32);
    return value;
  };
  const sign = () => {
    demand(at < patch.length);
    return String.fromCharCode(patch[at++]);
  };
  const size = number();
  demand(sign() === "\n" && size <= LARGEST_TARGET);
  const target = new Uint8Array(size);
  let made = 0;
  const take = (bytes, start, length) => {
    demand(start + length <= bytes.length && made + length <= size);
    target.set(bytes.subarray(start, start + length), made);
    made += length;
  };
  for (;;) {
    const value = number();
    switch (sign()) {
      case "@": {
        const offset = number();
        demand(sign() === ",");
        take(base, offset, value);
        break;
      }
      case ":":
        take(patch, at, value);
        at += value;
        break;
      case ";":
        demand(made === size && value === checksum(target));
        return target;
      default:
        demand(false);
    }
  }
}

/** The sum of the big-endian 32-bit words, the last one filled up with zeros. */
function checksum(bytes) {
  let sum = 0;
  // 24, 16, 8, 0: how far a byte is from the end of its word.
  for (let at = 0; at < bytes.length; at += 1) sum = (sum + (bytes[at] << (24 - 8 * (at % 4)))) | 0;
  return sum >>> 0;
}

function demand(holds) {
  if (!holds) throw new RangeError("not a difference to this base");
}
