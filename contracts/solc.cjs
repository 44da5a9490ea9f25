#!/usr/bin/env node
// The pinned npm compiler behind the command line that forge, slither and halmos expect of a native solc.
//
// Promise: answers `--version` and `--standard-json` (stdin to stdout) as the native binary of that version would.
'use strict';
const fs = require('fs');
const given = process.argv.slice(2);
const solc = require(`${__dirname}/node_modules/solc`);

function read(name) {
  try {
    return { contents: fs.readFileSync(name, 'utf8') };
  } catch (error) {
    return { error: String(error) };
  }
}

if (given.includes('--version')) {
  const version = solc.version().replace('.Emscripten', '.Linux').replace('.clang', '.g++');
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else if (given.includes('--standard-json')) {
  process.stdout.write(solc.compile(fs.readFileSync(0, 'utf8'), { import: read }));
} else {
  console.error('solc.cjs: only --version and --standard-json are answered');
  process.exit(2);
}
