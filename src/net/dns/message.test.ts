import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnswerWriter, RCODE, TYPE, addressesOf, endOfName, lifetimeOf, matches, nameBytes, nameText, newQuestion, readQuestion } from './message.ts';

const query = (name: string, { id = 7, type = TYPE.a, edns = 0 }: { id?: number; type?: number; edns?: number } = {}): Uint8Array => {
  const opt = edns === 0 ? [] : [0, 0, 41, edns >> 8, edns & 255, 0, 0, 0x80, 0, 0, 0];
  return Uint8Array.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns === 0 ? 0 : 1, ...nameBytes(name)!, type >> 8, type & 255, 0, 1, ...opt]);
};
const read = (bytes: Uint8Array): { code: number; question: ReturnType<typeof newQuestion> } => {
  const question = newQuestion();
  return { code: readQuestion(bytes, { at: 0, end: bytes.byteLength, into: question }), question };
};

test('a question is read with its name, type, EDNS size and flags', () => {
  const { code, question } = read(query('Web.Front', { id: 0x1234, type: TYPE.aaaa, edns: 1400 }));
  assert.equal(code, RCODE.ok);
  assert.equal(nameText(query('Web.Front'), question.nameAt), 'web.front');
  assert.deepEqual([question.id, question.type, question.labels, question.hasEdns, question.room, question.dnssecOk], [0x1234, TYPE.aaaa, 2, true, 1400, true]);
});

test('what is no question is refused: answers and fragments silently, the rest with a code', () => {
  const changed = (change: (bytes: Uint8Array) => void): number => {
    const bytes = query('web', { edns: 512 });
    change(bytes);
    return read(bytes).code;
  };
  assert.equal(read(new Uint8Array(11)).code, -1);
  assert.equal(changed((b) => (b[2]! |= 0x80)), -1, 'an answer');
  assert.equal(changed((b) => (b[2]! |= 0x28)), RCODE.notImplemented);
  assert.equal(changed((b) => (b[5] = 2)), RCODE.format, 'two questions');
  assert.equal(changed((b) => (b[7] = 1)), RCODE.format, 'answers in a question');
  assert.equal(changed((b) => (b[12] = 0xc0)), RCODE.format, 'a compressed question');
  assert.equal(changed((b) => (b[12] = 63)), RCODE.format, 'a label beyond the end');
  assert.equal(changed((b) => (b[11] = 200)), RCODE.format, 'more records than there are');
  assert.equal(changed((b) => (b[27] = 1)), RCODE.badVersion, 'EDNS of the future');
  assert.equal(read(query('web').subarray(0, 18)).code, RCODE.format, 'no type');
});

test('names of odd octets stay what they are, and those that are too long are none', () => {
  assert.equal(nameText(Uint8Array.of(3, 0x61, 0x2e, 0x00, 1, 0x5c, 0), 0), 'a\\046\\000.\\092');
  assert.equal(nameBytes(`${'a'.repeat(64)}.b`), undefined);
  assert.equal(nameBytes(Array(130).fill('a').join('.')), undefined);
  assert.deepEqual(nameBytes('a.b.'), Buffer.from('\x01a\x01b\0'));
});

test('an answer that has no room for all records says so', () => {
  const bytes = query('many');
  const { question } = read(bytes);
  const out = new Uint8Array(600);
  const writer = new AnswerWriter();
  writer.begin(bytes, question, { into: out, at: 10, room: question.room });
  for (let i = 0; i < 60; i++) writer.add(TYPE.a, 600, { data: Uint8Array.of(10, 0, 0, i), at: 0, length: 4 });
  const length = writer.finish();
  assert.ok(length <= 512);
  assert.equal(out[12]! & 2, 2, 'TC');
  assert.equal((out[16]! << 8) | out[17]!, Math.floor((512 - bytes.byteLength) / 16));
});

test('an answer matches on id, question and letter case; another id or question never', () => {
  const asked = query('wEb.example', { id: 99 });
  const answer = asked.slice();
  answer[2] = 0x81;
  const end = asked.byteLength - 4;
  const like = (change: (bytes: Uint8Array) => void): string => {
    const copy = answer.slice();
    change(copy);
    return matches(asked, copy, end);
  };
  assert.equal(like(() => undefined), 'yes');
  assert.equal(like((b) => (b[14]! |= 32)), 'case');
  for (const [what, change] of Object.entries<(b: Uint8Array) => void>({
    id: (b) => (b[1]! ^= 1), 'not an answer': (b) => (b[2] = 1), name: (b) => (b[14] = 0x78), 'an octet that is no letter': (b) => (b[12]! ^= 32), type: (b) => (b[end + 1] = 16), class: (b) => (b[end + 3] = 3), 'no question': (b) => (b[5] = 0),
  })) assert.equal(like(change), 'no', what);
});

test('a name whose pointer leads to itself or ahead is none; records are stepped over, never followed', () => {
  assert.equal(endOfName(Uint8Array.of(0xc0, 0), 0, 2), 0);
  assert.equal(endOfName(Uint8Array.of(0, 0, 0xc0, 4, 0), 2, 5), 0);
  assert.equal(endOfName(Uint8Array.of(0, 0, 1, 0x61, 0xc0, 0), 2, 6), 6);
  const asked = query('loop');
  const message = Uint8Array.from([...asked, 0xc0, asked.byteLength, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
  message[7] = 1;
  assert.equal(lifetimeOf(message, asked.byteLength - 4, 30), undefined);
});

test('no bytes at all make the reader throw, loop or read what is not there', () => {
  const question = newQuestion();
  const writer = new AnswerWriter();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40), (noise, at) => {
    const bytes = new Uint8Array(at + noise.byteLength + 40).fill(0xc0);
    bytes.set(noise, at);
    const end = at + noise.byteLength;
    const code = readQuestion(bytes, { at, end, into: question });
    if (code === -1) return;
    if (question.nameEnd > 0) assert.ok(question.nameEnd + 4 <= end);
    const out = new Uint8Array(1024);
    writer.begin(bytes, question, { into: out, at: 0, room: 512 });
    writer.code(code);
    const length = writer.finish();
    assert.ok(length >= 12 && length <= 512);
    assert.equal(out[0], bytes[at]);
    assert.equal(out[2]! & 0x80, 0x80);
  }), { numRuns: 3000 });
});

test('every bent question is read or refused, and a good one is answered with itself', () => {
  const names = fc.array(fc.string({ minLength: 1, maxLength: 20, unit: fc.constantFrom('a', 'B', '-', '_', '9') }), { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(names, fc.nat(65535), fc.constantFrom(0, 512, 4096), fc.option(fc.tuple(fc.nat(80), fc.nat(255))), (labels, id, edns, bend) => {
    const bytes = query(labels.join('.'), { id, edns });
    if (bend !== null) bytes[bend[0] % bytes.byteLength] = bend[1];
    const { code, question } = read(bytes);
    if (bend === null) {
      assert.equal(code, RCODE.ok);
      assert.equal(nameText(bytes, question.nameAt), labels.join('.').toLowerCase());
      const answer = bytes.slice();
      answer[2]! |= 0x80;
      assert.equal(matches(bytes, answer, question.nameEnd), 'yes');
    }
  }), { numRuns: 2000 });
});

test('an upstream answer of any bytes has a lifetime or is broken; what it names are whole addresses', () => {
  const asked = query('x.test');
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(4), fc.nat(4), (noise, answers, additional) => {
    const message = Uint8Array.from([...asked, ...noise]);
    message[7] = answers;
    message[11] = additional;
    const seconds = lifetimeOf(message, asked.byteLength - 4, 30);
    assert.ok(seconds === undefined || (seconds >= 0 && seconds <= 30));
    if (seconds !== undefined) for (const address of addressesOf(message, asked.byteLength - 4)) assert.ok(address.byteLength === 4 || address.byteLength === 16);
  }), { numRuns: 3000 });
});

test('an upstream message of any length, none included, is no answer to what was asked unless it repeats the question', () => {
  const asked = query('x.test');
  const end = asked.byteLength - 4;
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.nat(asked.byteLength).map((length) => asked.slice(0, length))), fc.boolean(), (message, answers) => {
    if (answers && message.byteLength > 2) message[2]! |= 0x80;
    const like = matches(asked, message, end);
    assert.equal(like === 'yes', answers && message.byteLength >= end + 4 && Buffer.compare(message.subarray(12, end + 4), asked.subarray(12, end + 4)) === 0 && message[0] === asked[0] && message[1] === asked[1]);
    if (like === 'yes') lifetimeOf(message, end, 30);
  }), { numRuns: 2000, examples: [[new Uint8Array(0), true], [asked.slice(), true], [asked.slice(0, 3), true], [asked.slice(0, 12), true]] });
});

test('an upstream answer that is bent or cut anywhere, pointers of names included, is read or broken', () => {
  const asked = query('x.test');
  const record = (type: number, data: number[]): number[] => [0xc0, 12, type >> 8, type & 255, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 255, ...data];
  const good = Uint8Array.from([...asked, ...record(TYPE.cname, [1, 0x79, 0xc0, 14]), ...record(TYPE.a, [192, 0, 2, 1]), ...record(TYPE.aaaa, Array<number>(16).fill(1)), ...record(TYPE.soa, [0xc0, 12, 0xc0, 12, ...Array<number>(20).fill(1)])]);
  good[2] = 0x81;
  good[7] = 3;
  good[9] = 1;
  assert.deepEqual(addressesOf(good, asked.byteLength - 4).map((each) => each.byteLength), [4, 16]);
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(good.byteLength - 1), fc.oneof(fc.nat(255), fc.constantFrom(0xc0, 0xff, 0))), { maxLength: 5 }), fc.nat(good.byteLength), fc.boolean(), (changes, length, cut) => {
    const message = good.slice(0, cut ? Math.max(length, asked.byteLength) : undefined);
    for (const [at, value] of changes) if (at < message.byteLength) message[at] = value;
    const end = asked.byteLength - 4;
    const seconds = lifetimeOf(message, end, 30);
    assert.ok(seconds === undefined || (seconds >= 0 && seconds <= 30));
    if (seconds !== undefined) for (const address of addressesOf(message, end)) assert.ok(address.byteLength === 4 || address.byteLength === 16);
    assert.ok(['yes', 'case', 'no'].includes(matches(asked, message, end)));
    for (let at = 0; at < message.byteLength; at++) assert.ok(endOfName(message, at, message.byteLength) <= message.byteLength);
  }), { numRuns: 2000 });
});
