import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { namesGiven } from '../../../src/cli/names-given.ts';
import { openTerminal } from '../../../src/cli/terminal.ts';

/** A terminal on streams of the test's own, with a clock. */
function opened({ isTTY = false, input = '' } = {}) {
  const clock = { ms: 0 };
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end(input);
  const program = {
    stdin: Object.assign(stdin, { isTTY }),
    stdout: Object.assign(stdout, { isTTY }),
    stderr: Object.assign(stderr, { isTTY }),
  } as unknown as NodeJS.Process;
  const text = (stream: PassThrough) => {
    let all = '';
    for (let part; (part = stream.read() as Buffer | null) !== null;) all += part.toString();
    return all;
  };
  return {
    clock,
    terminal: openTerminal(program, () => clock.ms),
    said: () => text(stdout),
    told: () => text(stderr),
  };
}

test('where nobody watches: plain lines now and then, the result apart', () => {
  const { clock, terminal, said, told } = opened();
  for (let done = 0; done <= 10; done++, clock.ms += 1000) terminal.progress({ done, total: 100 });
  terminal.say('result');
  expect(told()).toBe('5 of 100, 1.0/s, 1m 35s left\n10 of 100, 1.0/s, 1m 30s left\n');
  expect(said()).toBe('result\n');
});

test('on a terminal: one line that is written anew, and gone before others', () => {
  const { clock, terminal, told } = opened({ isTTY: true });
  terminal.progress({ done: 0, total: 2 });
  clock.ms = 100;
  terminal.progress({ done: 1, total: 2 });
  clock.ms = 101;
  terminal.progress({ done: 2, total: 2 });
  terminal.tell('ended');
  expect(told()).toBe('\r\x1b[K1 of 2, 10/s, 1s left\r\x1b[Kended\n');
});

test('names are arguments, or lines of the input, as they stand there', async () => {
  const read = async (args: readonly string[], input: string) => {
    const given = namesGiven(args, opened({ input }).terminal);
    return given && { names: await Array.fromAsync(given), total: given.total };
  };
  expect(await read(['a', 'b'], 'c')).toEqual({ names: ['a', 'b'], total: 2 });
  for (const args of [['-'], []])
    expect(await read(args, 'c\r\n\n  \n d\ne')).toEqual({ names: ['c', ' d', 'e'], total: 3 });
  expect(namesGiven([], opened({ isTTY: true }).terminal)).toBeUndefined();
  expect(() => namesGiven(['a', '-'], opened().terminal)).toThrow('- stands alone');
});
