import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';

/** `completion`: each script asks the program itself (`__complete`), which knows its own table. */
export const completion: CommandRunner = async ({ args, io, program }) => {
  const script = SCRIPTS[args[0] as string];
  if (script === undefined) throw new NaruError('invalid', `${args[0]}: not one of bash, zsh, fish`);
  io.out(script(program));
  return 0;
};

const SCRIPTS: Readonly<Record<string, (program: string) => string>> = {
  bash: (program) => `# bash completion of ${program}: source it, or put it into /etc/bash_completion.d
_${program}_complete() {
  local line candidate IFS=$'\\n'
  COMPREPLY=()
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  # bash splits words at : and =; the program wants them as they were typed.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    local cur words_ cword_
    _get_comp_words_by_ref -n := -w words_ -i cword_ -c cur
    words=("\${words_[@]:1:cword_}")
  fi
  while IFS=$'\\t' read -r candidate _; do
    [[ $candidate == :files ]] && { compopt -o default; COMPREPLY=(); return; }
    [[ $candidate == *[=:/] ]] && compopt -o nospace
    COMPREPLY+=("$candidate")
  done < <("\${COMP_WORDS[0]}" __complete "\${words[@]}" 2>/dev/null)
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "\${cur-}"
}
complete -F _${program}_complete ${program}
`,
  zsh: (program) => `#compdef ${program}
# zsh completion of ${program}: put it as _${program} into a directory of $fpath
_${program}() {
  local -a candidates
  local candidate help
  while IFS=$'\\t' read -r candidate help; do
    [[ $candidate == :files ]] && { compset -P '--*='; _files; return }
    candidates+=("\${candidate//:/\\\\:}\${help:+:$help}")
  done < <(\${words[1]} __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe '${program}' candidates
}
if [[ $funcstack[1] == _${program} ]]; then _${program} "$@"; else compdef _${program} ${program}; fi
`,
  fish: (program) => `# fish completion of ${program}: put it as ${program}.fish into ~/.config/fish/completions
function __${program}_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            set -l flag (string match -r -- '^--[^=]+=' (commandline -ct))
            for path in (__fish_complete_path (string replace -r -- '^--[^=]+=' '' (commandline -ct)))
                echo "$flag$path"
            end
        else
            echo $line
        end
    end
end
complete -c ${program} -f -a '(__${program}_complete)'
`,
};
