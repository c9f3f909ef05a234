import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/** An htpasswd file as `htpasswd -B` writes it, of these users and passwords. */
export function writeUsers(file: string, users: Readonly<Record<string, string>>): void {
  const lines = Object.entries(users).map(([user, password]) =>
    execFileSync('htpasswd', ['-nbB', user, password]).toString().trim(),
  );
  writeFileSync(file, `${lines.join('\n')}\n`);
}

/** The header by which a client says who it is. */
export const basic = (user: string, password: string): { readonly authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});
