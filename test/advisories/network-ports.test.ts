import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, afterEach, before, describe, test } from 'node:test';
import { OwnHost } from '../support/own-host.ts';

/** Binds (and listens) however it can, by a user without rights; says each that worked. Then it waits for the end of its input. */
const THIEF = `
import os,socket,sys
os.setgid(65534); os.setuid(65534)
kept=[]
for family,kind,host,port in eval(sys.argv[1]):
    for option in (None,socket.SO_REUSEADDR,socket.SO_REUSEPORT,"both"):
        s=socket.socket(socket.AF_INET6 if family==6 else socket.AF_INET,socket.SOCK_DGRAM if kind=="udp" else socket.SOCK_STREAM)
        if family==6: s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_V6ONLY,0 if host=="dual" else 1)
        for each in ([socket.SO_REUSEADDR,socket.SO_REUSEPORT] if option=="both" else [option] if option else []): s.setsockopt(socket.SOL_SOCKET,each,1)
        try:
            s.bind(("::" if host=="dual" else host,port))
            if kind=="tcp": s.listen()
            kept.append(s); print("took",kind,host,port,flush=True); break
        except OSError: s.close()
print("done",flush=True)
sys.stdin.read()
`;

/** One flag of `docker run` for each. */
const publish = (words: readonly string[]): string[] => words.flatMap((word) => ['-p', word]);

describe('attack 50: one host port, two who want it, by the Docker CLI', () => {
  let own: OwnHost;
  before(async () => {
    own = await OwnHost.start('port', { daemon: ['--fixed-cidr-v6', 'fd0d::/64'] });
  });
  afterEach(() => own.clear());
  after(() => own.end());

  /** What cannot be published, and that nothing is left of the attempt. */
  const refused = (pattern: RegExp, lists: readonly (readonly string[])[]): void => {
    const before = own.ruleset();
    for (const list of lists) own.refused(pattern, 'run', '--rm', ...publish(list), 'busybox', 'true');
    assert.equal(own.ruleset(), before);
  };

  /** What a program of the host without rights could take, and its end. */
  async function thief(...wanted: [family: 4 | 6, kind: 'tcp' | 'udp', host: string, port: number][]): Promise<{ took: string[]; end: () => Promise<void> }> {
    const child = spawn('ip', ['netns', 'exec', own.host.name, 'python3', '-c', THIEF, JSON.stringify(wanted)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const took: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'done') break;
      took.push(line);
    }
    return { took, end: async () => (child.stdin.end(), void (await gone)) };
  }

  test('no program of the host takes a published port over, on no address and with no option', async () => {
    own.sleeper('one', ...publish(['8080:80', '5353:80/udp', '127.0.0.1:8081:80']));
    const { took, end } = await thief(
      [4, 'tcp', '0.0.0.0', 8080], [4, 'tcp', '127.0.0.1', 8080], [4, 'tcp', '172.17.0.1', 8080], [6, 'tcp', '::', 8080], [6, 'tcp', '::1', 8080], [6, 'tcp', 'dual', 8080],
      [4, 'udp', '0.0.0.0', 5353], [4, 'udp', '127.0.0.1', 5353], [6, 'udp', '::1', 5353], [4, 'tcp', '127.0.0.1', 8081], [4, 'tcp', '0.0.0.0', 8081],
      [4, 'tcp', '0.0.0.0', 8082],
    );
    await end();
    assert.deepEqual(took, ['took tcp 0.0.0.0 8082'], 'the one that nobody has');
  });

  test('no container takes over what a program of the host has, on any address of it', async () => {
    const { took, end } = await thief([4, 'tcp', '127.0.0.1', 8090], [4, 'udp', '0.0.0.0', 8091], [6, 'tcp', '::1', 8092], [4, 'tcp', '172.17.0.1', 8093]);
    assert.equal(took.length, 4);
    refused(/failed to bind host port for .*: address already in use/, ['8090', '127.0.0.1:8090', '8091/udp', '127.0.0.1:8091/udp', '8092', '[::1]:8092', '8093'].map((wish) => {
      const [, port, kind = ''] = /^(.*?)(\/udp)?$/.exec(wish)!;
      return ['8099:80', `${port}:80${kind}`];
    }));
    await end();
    own.sleeper('two', ...publish(['8090:80', '8091:80/udp', '8092:80', '8093:80', '8099:80']));
  });

  test('no container takes over another\'s, by a range, an address or the other family; nothing is left of the attempt', () => {
    own.sleeper('one', ...publish(['8080:80', '127.0.0.1:8081:80', '[::1]:8082:80']));
    refused(/Bind for \S+:808\d failed: port is already allocated/, [
      ['8080:80'], ['127.0.0.1:8080:80'], ['[::]:8080:80'], ['[::1]:8080:80'], ['8081:80'], ['127.0.0.1:8081:80'], ['8082:80'], ['8079:80', '8080:80'], ['8070-8089:8070-8089'],
    ]);
    // Other addresses and protocols are nobody's
    own.sleeper('two', ...publish(['8080:80/udp', '172.17.0.1:8081:80', '127.0.0.1:8082:80', '8079:80', '8070:80']));
    own.daemon.ok('rm', '-f', 'one', 'two');
    own.sleeper('two', ...publish(['8080:80', '8081:80', '8082:80']));
  });
});
