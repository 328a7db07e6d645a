import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { markAsMap } from './go-values.ts';
import { template } from './template.ts';

const DATA = { Name: 'web', N: 3, F: 1.5, Yes: true, No: false, Nil: null, List: ['a', 'b', 'c'], Empty: [], Map: markAsMap({ z: '1', a: '2' }), Inner: { Deep: { X: 'x' } }, Say: (a: string, b: string) => `${a}+${b}` };
const render = (source: string): string => template(source).execute(DATA);
const is = (source: string, result: string): void => assert.equal(render(source), result, source);
const fails = (source: string, message: RegExp): void => assert.throws(() => render(source), { kind: 'invalid', message });

test('values print as Go prints them', () => {
  is('{{.Name}} {{.N}} {{.F}} {{.Yes}} {{.Nil}} {{.List}} {{.Map}} {{.Inner}}', 'web 3 1.5 true <nil> [a b c] map[a:2 z:1] {{x}}');
  is('{{.Map.nope}}{{.Map.a}}', '<no value>2');
  is('{{json .}}'.replace('.', '.Map'), '{"a":"2","z":"1"}');
});

test('control', () => {
  is('{{if .Empty}}1{{else if .No}}2{{else}}3{{end}}', '3');
  is('{{range .List}}<{{.}}>{{else}}none{{end}}{{range .Empty}}x{{else}}none{{end}}', '<a><b><c>none');
  is('{{range $i, $e := .List}}{{if $i}},{{end}}{{$i}}={{$e}}{{end}}', '0=a,1=b,2=c');
  is('{{range $k, $v := .Map}}{{$k}}{{$v}};{{end}}', 'a2;z1;');
  is('{{range .List}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{if eq . "c"}}{{break}}{{end}}{{end}}', 'ac');
  is('{{with .Inner.Deep}}{{.X}}{{else}}no{{end}}{{with .Nil}}x{{else}}no{{end}}', 'xno');
  is('{{$x := "a"}}{{range .List}}{{$x = .}}{{end}}{{$x}}{{$.Name}}', 'cweb');
  is('a  {{- " b " -}}  c{{/* nothing */}}{{- /* all */ -}} d', 'a b cd');
});

test('functions and pipelines', () => {
  is('{{.Name | upper | printf "%-5s|"}}{{printf "%05d %x %q %v %t %.2f %5s" .N 255 "a\\"b" .List .Yes .F "é"}}', 'WEB  |00003 ff "a\\"b" [a b c] true 1.50     é');
  is('{{index .List 1}}{{index .Map "a"}}{{len .List}}{{slice .Name 1 2}}{{join .List "-"}}{{(index .List 0) | title}}', 'b23ea-b-cA');
  is('{{and .Yes .Name}}{{or .No .Nil "x"}}{{not .No}}{{eq .N 1 2 3}}{{ne .N 3}}{{lt 1 2}}{{ge "b" "a"}}', 'webxtruetruefalsetruetrue');
  is('{{.Say "a" "b"}}{{print 1 2 "x" 3}}{{println "end"}}', 'a+b1 2x3end\n');
  is('{{(.Inner).Deep.X}}{{or .No (and .Yes "deep")}}{{`raw\\n`}}{{"tab\\t"}}', 'xdeepraw\\ntab\t');
  is('{{or .Yes (index .List 99)}}', 'true'); // what is not needed is not looked at
});

test('mistakes say where', () => {
  fails('{{.Nope}}', /^template: :1:2: executing "" at <\.Nope>: can't evaluate field Nope/);
  fails('x\n {{.Inner.Nope}}', /^template: :2:9: executing "" at <\.Inner\.Nope>: /);
  fails('{{index .List 9}}', /at <index \.List 9>: error calling index: index out of range: 9/);
  fails('{{', /unclosed action/);
  fails('{{if .N}}', /unexpected EOF/);
  fails('{{nope}}', /function "nope" not defined/);
  fails('{{$x}}', /undefined variable "\$x"/);
  fails('{{eq "a" 1}}', /incompatible types for comparison/);
  fails('{{.Name.X}}', /can't evaluate field X in type string/);
});

test('no template takes us down', () => {
  const bits = fc.constantFrom('{{', '}}', '.Name', ' ', '|', 'range', 'if', 'end', 'else', '$x', ':=', '(', ')', '"a"', 'index', '1', '-', '/*', '*/', ',', '.', 'printf', 'x');
  fc.assert(fc.property(fc.array(bits, { maxLength: 25 }), (parts) => {
    try {
      render(parts.join(''));
    } catch (error) {
      assert.ok(error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError), String(error));
    }
  }));
  fails(`${'{{if .N}}'.repeat(500)}`, /depth|EOF/);
});
