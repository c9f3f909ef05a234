import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/** An htpasswd file as `htpasswd -B` writes it, of these users and passwords; `cost`: of bcrypt. */
export function writeUsers(file: string, users: Readonly<Record<string, string>>, cost = 5): void {
  const lines = Object.entries(users).map(([user, password]) =>
    execFileSync('htpasswd', ['-nbB', '-C', String(cost), user, password])
      .toString()
      .trim(),
  );
  writeFileSync(file, `${lines.join('\n')}\n`);
}

/** The header by which a client says who it is. */
export const basic = (user: string, password: string): { readonly authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});
