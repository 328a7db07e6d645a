import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isKind } from '#spec/errors.ts';
import { parseFlow } from './conntrack-messages.ts';
import { type NetlinkMessage, attributeString, attributeU32, listAttributes, parseAttributes, parseError, parseMessages } from './message-parser.ts';
import { MessageWriter } from './message-writer.ts';
import { parseGeneration } from './nft-batch.ts';
import { parseBaseChain } from './nft-chains.ts';
import { parseAddress, parseLink, parseRoute } from './route-objects.ts';

const onlyCorrupt = (work: () => unknown): void => {
  try {
    work();
  } catch (error) {
    assert.ok(isKind(error, 'corrupt'), String(error));
  }
};

/** Attributes as values: a type and either bytes or attributes. */
type Tree = readonly [type: number, value: Uint8Array | readonly Tree[]];
const type = fc.integer({ min: 0, max: 0x3fff });
const { tree } = fc.letrec<{ tree: Tree; trees: Tree[] }>((tie) => ({
  trees: fc.array(tie('tree'), { maxLength: 4 }),
  tree: fc.oneof({ maxDepth: 3 }, fc.tuple(type, fc.uint8Array({ maxLength: 40 })), fc.tuple(type, tie('trees'))) as never,
}));
const write = (w: MessageWriter, [kind, value]: Tree): void => {
  if (value instanceof Uint8Array) w.attribute(kind, value);
  else w.nest(kind, () => value.forEach((child) => write(w, child)));
};
const check = ([kind, bytes]: [number, Uint8Array], [wantedType, wanted]: Tree): void => {
  assert.equal(kind, wantedType);
  if (wanted instanceof Uint8Array) assert.deepEqual([...bytes], [...wanted]);
  else {
    const children = listAttributes(bytes);
    assert.equal(children.length, wanted.length);
    wanted.forEach((child, i) => check(children[i]!, child));
  }
};

describe('netlink messages', () => {
  test('what was written is what is read', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.array(tree, { maxLength: 5 })), { maxLength: 4 }), (messages) => {
      const w = new MessageWriter();
      for (const [kind, trees] of messages) w.message(kind, 0, () => trees.forEach((each) => write(w, each)));
      const read = parseMessages(w.finish());
      assert.deepEqual(read.map((each) => [each.type, each.flags, each.sequence]), messages.map(([kind], i) => [kind, 1, i + 1]));
      messages.forEach(([, trees], i) => {
        const attributes = listAttributes(read[i]!.payload);
        trees.forEach((each, j) => check(attributes[j]!, each));
      });
    }), { numRuns: 200 });
  });

  test('any bytes are parsed or refused as corrupt, never more', () => {
    const parsers = [parseLink, parseAddress, parseRoute, parseFlow, parseBaseChain, parseGeneration, parseError];
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 0xffff }), (bytes, flags) => {
      onlyCorrupt(() => parseMessages(bytes));
      onlyCorrupt(() => parseAttributes(bytes));
      const message: NetlinkMessage = { type: 2, flags, sequence: 1, payload: bytes };
      for (const parse of parsers) onlyCorrupt(() => parse(message));
    }), { numRuns: 500 });
  });

  test('a true message with some bytes changed is parsed or refused as corrupt', () => {
    const message = (body: (w: MessageWriter) => void): Uint8Array => {
      const w = new MessageWriter();
      w.message(16, 0, () => body(w));
      return w.finish();
    };
    const tuple = (w: MessageWriter, type: number, port: number): void => w.nest(type, () => {
      w.nest(1, () => [3, 4].forEach((side) => w.attribute(side, new Uint8Array(16).fill(side))));
      w.nest(2, () => {
        w.u8(1, 17);
        w.be16(2, 4242);
        w.be16(3, port);
      });
    });
    const link = message((w) => {
      w.raw(new Uint8Array(16));
      w.string(3, 'eth0');
      w.nest(18, () => {
        w.string(1, 'veth');
        w.nest(2, () => w.u32(1, 7));
        w.string(4, 'bridge');
        w.nest(5, () => w.u8(1, 3));
      });
    });
    const flow = message((w) => {
      w.raw(Uint8Array.of(10, 0, 0, 0));
      tuple(w, 1, 53);
      tuple(w, 2, 5353);
      w.be32(12, 99);
    });
    const chain = message((w) => {
      w.raw(Uint8Array.of(1, 0, 0, 0));
      w.string(1, 'filter');
      w.string(3, 'FORWARD');
      w.nest(4, () => {
        w.be32(1, 2);
        w.be32(2, 0);
      });
      w.be32(5, 0);
    });
    const route = message((w) => {
      w.raw(Uint8Array.of(10, 64, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0));
      w.attribute(1, new Uint8Array(16));
      w.u32(4, 3);
    });
    const generation = message((w) => {
      w.raw(Uint8Array.of(0, 0, 0, 0));
      w.be32(1, 77);
    });
    assert.equal(parseMessages(link).map(parseLink)[0]?.portState, 3);
    assert.equal(parseMessages(generation).map(parseGeneration)[0], 77);
    const [found] = parseMessages(flow).map(parseFlow);
    assert.deepEqual([found?.family, found?.destinationPort, found?.destination[0], found?.answerer[0]], [6, 53, 4, 3]);
    for (const [good, parse] of [[link, parseLink], [flow, parseFlow], [chain, parseBaseChain], [route, parseRoute], [route, parseAddress], [generation, parseGeneration]] as const) {
      fc.assert(fc.property(fc.array(fc.tuple(fc.nat(good.byteLength - 1), fc.nat(255)), { maxLength: 4 }), fc.nat(good.byteLength), (changes, length) => {
        const bytes = good.slice(0, length % 3 === 0 ? length : undefined);
        for (const [at, value] of changes) if (at < bytes.byteLength) bytes[at] = value;
        onlyCorrupt(() => parseMessages(bytes).forEach((each) => parse(each)));
      }), { numRuns: 500 });
    }
  });

  test('lengths that lie are refused', () => {
    const message = (length: number): Uint8Array => {
      const bytes = new Uint8Array(16);
      new DataView(bytes.buffer).setUint32(0, length, true);
      return bytes;
    };
    for (const length of [0, 15, 17, 0xffffffff]) assert.throws(() => parseMessages(message(length)), /netlink message at byte 0/);
    assert.throws(() => parseMessages(new Uint8Array(3)), /after the last message/);
    for (const length of [0, 3, 9]) assert.throws(() => parseAttributes(new Uint8Array([length, 0, 1, 0, 5, 5, 5, 5])), /netlink attribute at byte 0/);
    assert.equal(attributeU32(new Uint8Array(3)), undefined);
    assert.equal(attributeString(new Uint8Array([104, 105])), 'hi');
  });

  test('an attribute that does not fit its length field is refused', () => {
    const w = new MessageWriter();
    assert.throws(() => w.message(1, 0, () => w.attribute(1, new Uint8Array(70000))), /at most/);
    assert.throws(() => w.message(1, 0, () => w.nest(1, () => {
      for (let i = 0; i < 20; i++) w.attribute(1, new Uint8Array(4000));
    })), /at most/);
  });

  test('the kernel\'s own words are found in an error, with the request echoed or not', () => {
    const error = (flags: number, echoed: number): NetlinkMessage => {
      const w = new MessageWriter();
      const header = new Uint8Array(4 + 16 + echoed);
      new DataView(header.buffer).setInt32(0, -17, true);
      new DataView(header.buffer).setUint32(4, 16 + echoed, true);
      w.message(2, flags, () => {
        w.raw(header);
        w.string(1, 'it is there');
      });
      return parseMessages(w.finish())[0]!;
    };
    assert.deepEqual(parseError(error(0x300, 0)), { errno: 17, text: 'it is there' });
    assert.deepEqual(parseError(error(0x200, 8)), { errno: 17, text: 'it is there' });
    assert.deepEqual(parseError(error(0, 0)), { errno: 17, text: undefined });
  });
});
