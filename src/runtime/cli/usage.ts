/** The command line in one page. */
export const usage = (): string => `naru runtime: an OCI runtime (https://github.com/opencontainers/runtime-spec)

  naru runtime [global options] COMMAND [options] ID ...

COMMANDS
  create     make a container from a bundle; its program waits for start
  start      let the program of a created container begin
  run        create, start, wait, delete (--detach: only create and start)
  state      print the state of a container
  kill       signal a container (--all: all its processes)
  delete     remove a stopped container (--force: any)
  exec       another process in a running container
  ps         its processes
  list       all containers
  events     its counters (--stats: once)
  pause      every process stands still; resume lets them go on
  update     change its limits
  checkpoint a running container as files (criu)
  restore    a container from them
  features   what this runtime can do, as JSON
  spec       write a config.json to begin with

GLOBAL OPTIONS
  --root DIR          where containers are kept (/run/naru-runtime)
  --log FILE          errors go here, too
  --log-format FORMAT text or json
  --systemd-cgroup    linux.cgroupsPath is slice:prefix:name
  --rootless BOOL     true, false or auto
  --debug             more log
  --version
`;
