import { AnswerWriter, CLASS_IN, PLAIN_UDP_BYTES, RCODE, TYPE, nameText, newQuestion, readQuestion } from './message.ts';
import type { Client } from './client.ts';
import type { Found, NameDirectory } from './name-directory.ts';

/** Seconds for which clients may keep an answer about a container, as under Docker. */
const LOCAL_TTL = 600;
/** Names that are remembered for a client, with what was found. */
const MAX_REMEMBERED = 1024;
/** No answer at all; somebody else must be asked. */
export const DROP = 0, FORWARD = -1;

const writer = new AnswerWriter();
/** The question that was answered, or is to be forwarded, by the last call. */
export const question = newQuestion();

export interface QueryPlace {
  /** The query is `bytes` from `at` to `end`. */
  readonly bytes: Buffer;
  at: number;
  end: number;
  /** Where the answer goes: there is room for whatever the client takes. */
  readonly into: Uint8Array;
  intoAt: number;
  /** It came over TCP: what the client says of datagrams does not matter. */
  readonly stream: boolean;
}

const MAX_TCP_BYTES = 65_535;

/** Answers from the names of the networks. Returns the answer's length, DROP, or FORWARD. The hot path: nothing is made for a name that was asked before. */
export function answerQuery(client: Client, directory: NameDirectory, place: QueryPlace): number {
  const { counters } = client;
  const { bytes, at, end } = place;
  counters.queries++;
  const code = readQuestion(bytes, { at, end, into: question });
  if (code === -1) {
    counters.refused++;
    return DROP;
  }
  if (code !== RCODE.ok) {
    counters.refused++;
    return answerCode(place, code);
  }
  const found = lookUp(client, directory, bytes);
  if (found.kind === 'elsewhere') return FORWARD;
  if (question.class !== CLASS_IN) {
    counters.withheld++;
    return answerCode(place, RCODE.refused);
  }
  writer.begin(bytes, question, { into: place.into, at: place.intoAt, room: place.stream ? MAX_TCP_BYTES : question.room });
  if (found.kind === 'absent') {
    counters.withheld++;
    writer.code(RCODE.noName);
    return writer.finish();
  }
  counters.local++;
  if (found.kind === 'pointer') {
    if (question.type === TYPE.ptr || question.type === TYPE.any) writer.add(TYPE.ptr, LOCAL_TTL, { data: found.name, at: 0, length: found.name.byteLength });
    return writer.finish();
  }
  // Other types of a name of ours: it is there, and has none of them. Nobody else is to hear of it.
  if (question.type === TYPE.a || question.type === TYPE.any) addAll(TYPE.a, found.v4, { length: 4, turn: found.turn++ });
  if (question.type === TYPE.aaaa || question.type === TYPE.any) addAll(TYPE.aaaa, found.v6, { length: 16, turn: found.turn6++ });
  return writer.finish();
}

/** An answer that is only a code, to the question that was read last. */
export function answerCode(place: QueryPlace, code: number): number {
  writer.begin(place.bytes, question, { into: place.into, at: place.intoAt, room: PLAIN_UDP_BYTES });
  writer.code(code);
  return writer.finish();
}

/** Begins with another one each time. */
function addAll(type: number, addresses: Uint8Array, { length, turn }: { length: number; turn: number }): void {
  const count = addresses.byteLength / length;
  for (let i = 0; i < count; i++) writer.add(type, LOCAL_TTL, { data: addresses, at: ((i + turn) % count) * length, length });
}

function lookUp(client: Client, directory: NameDirectory, bytes: Buffer): Found {
  const { names } = client;
  if (client.generation !== directory.generation || names.size > MAX_REMEMBERED) {
    names.clear();
    client.generation = directory.generation;
  }
  const raw = bytes.toString('latin1', question.nameAt, question.nameEnd);
  let found = names.get(raw);
  if (found === undefined) {
    const name = nameText(bytes, question.nameAt);
    // The same object for every spelling, so that letters of mixed case do not begin the round robin anew
    const key = `\0${name}`;
    found = names.get(key) ?? directory.find(client.id, name);
    names.set(key, found);
    names.set(raw, found);
  }
  return found;
}
