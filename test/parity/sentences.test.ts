import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIS, suite } from '../support/two-clients.ts';

/** What is refused, in the sentences and with the exit codes that Docker 28 has for it: scripts match on them. */
const { d } = suite();
const id = (name: string): string => d.ok('inspect', '-f', '{{.Id}}', name);
const ERROR = 'Error response from daemon: ';

function refused(words: string, { code = 1, said }: { code?: number; said: string }): void {
  for (const cli of CLIS) {
    const ran = d[cli](...words.split(' '));
    assert.equal(ran.code, code, `${cli} ${words}: ${ran.err}`);
    // Ours adds what to do.
    assert.equal(ran.err.replace(/hint: .*\n/, ''), said, `${cli} ${words}`);
  }
}

describe('refused as Docker refuses it', () => {
  test('names, links, states', () => {
    d.ok('run', '-d', '--name', 'web', 'busybox', 'sleep', '600');
    d.ok('create', '--name', 'made', 'busybox');
    const [web, made] = [id('web'), id('made')];
    const taken = `Conflict. The container name "/web" is already in use by container "${web}". You have to remove (or rename) that container to be able to reuse that name.`;
    refused('rename made web', { said: `${ERROR}Error when allocating new name: ${taken}\nError: failed to rename container named made\n` });
    refused('rename made ./bad', { said: `${ERROR}Error when allocating new name: Invalid container name (./bad), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed\nError: failed to rename container named made\n` });
    refused('rename made made', { said: `${ERROR}Renaming a container with the same name as its current name\nError: failed to rename container named made\n` });
    refused('rm web', { said: `${ERROR}cannot remove container "web": container is running: stop the container before removing or force remove\n` });
    refused(`rm ${web.slice(0, 12)}`, { said: `${ERROR}cannot remove container "${web.slice(0, 12)}": container is running: stop the container before removing or force remove\n` });
    refused('rm --link web', { said: `${ERROR}Conflict, cannot remove the default link name of the container\n` });
    refused('rm --link web/none', { said: `${ERROR}No such container: web/none\n` });
    refused('pause made', { said: `${ERROR}container ${made} is not running\n` });
    refused('unpause web', { said: `${ERROR}Container ${web} is not paused\n` });
    refused('kill made', { said: `${ERROR}cannot kill container: made: container ${made} is not running\n` });
    d.ok('pause', 'web');
    refused('pause web', { said: `${ERROR}Container ${web} is already paused\n` });
    refused('exec web true', { said: `${ERROR}Container web is paused, unpause the container before exec\n` });
    refused('attach web', { said: 'You cannot attach to a paused container, unpause it first\n' });
    refused('start web', { said: `${ERROR}cannot start a paused container, try unpause instead\nfailed to start containers: web\n`.replace('failed to start', 'Error: failed to start') });
    refused('rm web', { said: `${ERROR}cannot remove container "web": container is paused and must be unpaused first\n` });
    d.ok('create', '--name', 'wrong', 'busybox', 'nosuch');
    refused('restart wrong', { said: `${ERROR}Cannot restart container wrong: failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown\n` });
    d.ok('unpause', 'web');
  });

  test('programs that cannot run', () => {
    d.ok('run', '-d', '--name', 'web', 'busybox', 'sleep', '600');
    const start = 'failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: ';
    for (const [program, code, why] of [
      ['nosuch', 127, 'exec: "nosuch": executable file not found in $PATH: unknown'], ['/nosuch', 127, 'exec: "/nosuch": stat /nosuch: no such file or directory: unknown'],
      ['/etc/passwd', 126, 'exec: "/etc/passwd": permission denied: unknown'], ['/etc', 126, 'exec: "/etc": is a directory: unknown: permission denied'],
    ] as const) {
      for (const cli of CLIS) {
        const ran = d[cli]('run', '--rm', 'busybox', program);
        assert.deepEqual([ran.code, ran.err.split('\n')[0]], [code, `${cli}: ${ERROR}${start}${why}`]);
        const inside = d[cli]('exec', 'web', program);
        assert.deepEqual([inside.code, inside.out], [code, `OCI runtime exec failed: exec failed: unable to start container process: ${why}\r\n`]);
      }
    }
    for (const cli of CLIS) {
      const ran = d[cli]('exec', '-u', 'nobodyhere', 'web', 'id');
      assert.deepEqual([ran.code, ran.out], [126, 'unable to find user nobodyhere: no matching entries in passwd file\r\n']);
    }
    refused('exec --detach-keys x,,y web true', { said: `${ERROR}Invalid escape keys (x,,y) provided\n` });
  });

  test('filters', () => {
    const states = 'created, running, paused, restarting, removing, exited, dead';
    refused('ps --filter status=gone', { said: `${ERROR}invalid filter 'status=gone': invalid value for state (gone): must be one of ${states}\n` });
    refused('ps --filter health=ill', { said: `${ERROR}invalid filter 'health=ill': invalid value for health (ill): must be one of none, starting, healthy, unhealthy\n` });
    refused('ps --filter exited=x', { said: `${ERROR}invalid filter 'exited=x': strconv.Atoi: parsing "x": invalid syntax\n` });
    refused('ps --filter colour=red', { said: `${ERROR}invalid filter 'colour'\n` });
    refused('ps --filter before=nobody', { said: `${ERROR}No such container: nobody\n` });
    refused('ps --filter publish=1:2', { said: `${ERROR}filter for 'publish' should not contain ':': 1:2\n` });
    refused('ps --filter expose=x/tcp', { said: `${ERROR}error while looking up for expose x/tcp: strconv.ParseUint: parsing "x": invalid syntax\n` });
    refused('ps --filter publish=9-8', { said: `${ERROR}error while looking up for publish 9-8: invalid range specified for port: 9-8\n` });
  });

  test('update', () => {
    d.ok('run', '-d', '--rm', '--name', 'web', '-m', '32m', '--memory-swap', '32m', '--cpu-period', '100000', 'busybox', 'sleep', '600');
    d.ok('run', '-d', '--name', 'nano', '--cpus', '0.5', 'busybox', 'sleep', '600');
    const cannot = (name: string): string => `${ERROR}Cannot update container ${id(name)}: `;
    refused('update -m 64m web', { said: `${cannot('web')}Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time\n` });
    refused('update --restart always web', { said: `${cannot('web')}Restart policy cannot be updated because AutoRemove is enabled for the container\n` });
    refused('update --cpus 0.5 web', { said: `${cannot('web')}Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set\n` });
    refused('update --cpu-quota 20000 nano', { said: `${cannot('nano')}Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set\n` });
    refused('update -m 4m web', { said: `${ERROR}Minimum memory limit allowed is 6MB\n` });
  });
});
