import { withSecretFiles } from './secret-files.ts';
import { ConfigError } from './start-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** From its setting or its file, whatever the other settings are; undefined where none is set. Throws ConfigError. */
export function adminTokenOf(env: Environment): string | undefined {
  const names = ['LARDER_ADMIN_TOKEN', 'LARDER_ADMIN_TOKEN_FILE'];
  const set = names.filter((name) => env[name] !== undefined && env[name] !== '');
  const given = Object.fromEntries(set.map((name) => [name, env[name]]));
  const { values, problems } = withSecretFiles(given);
  const wrong = [...problems, ...adminProblems(values)];
  if (wrong.length > 0) throw new ConfigError(wrong.join('\n'));
  return values['LARDER_ADMIN_TOKEN'];
}

/** The token itself is in no sentence. */
export function adminProblems({ LARDER_ADMIN_TOKEN: token = '' }: Environment): string[] {
  return /^[!-~]*$/.test(token)
    ? []
    : ['LARDER_ADMIN_TOKEN is no token: give one of printable ASCII characters without spaces.'];
}
