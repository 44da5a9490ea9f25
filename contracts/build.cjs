#!/usr/bin/env node
// Compiles the Solidity sources to artifacts with the pinned compiler.
//
// Promise: the same sources give the same bytes on every machine, and a warning about our sources is a failure.
// Takes: `node build.cjs [--src FOLDER] [--out FOLDER] [--only A,B]`, all folders relative to this file.
// Gives: `OUT/Name.json` {abi, bytecode.object, deployedBytecode.object} and `OUT/SHA256SUMS`.
// Never: downloads anything; the packages must be in node_modules (see README.md).
'use strict';
const fs = require('fs');
const path = require('path');
const crypto = require('crypto');

const HERE = __dirname;
const MODULES = path.join(HERE, 'node_modules');
const SOLC_VERSION = '0.8.37';
/** 2394: transient storage is not composable. The reentrancy guards clear theirs, so it does not apply. */
const ALLOWED_WARNINGS = new Set(['2394']);

function fail(text) {
  console.error(`build.cjs: ${text}`);
  process.exit(1);
}

function options(given) {
  const known = { '--src': 'src', '--out': 'artifacts', '--only': '' };
  for (let i = 0; i < given.length; i += 2) {
    if (!(given[i] in known) || given[i + 1] === undefined) fail(`unknown or unfinished option ${given[i]}`);
    known[given[i]] = given[i + 1];
  }
  const only = known['--only'].split(',').filter(Boolean);
  return { src: path.resolve(HERE, known['--src']), out: path.resolve(HERE, known['--out']), only };
}

/** Every .sol file below `folder`, in sorted order, relative to it. */
function solidityFiles(folder) {
  return fs.readdirSync(folder, { recursive: true }).map(String).filter(f => f.endsWith('.sol')).sort();
}

/** Sources are named `src/...` wherever they lie, because names can reach the bytecode. */
function standardInput(src, only) {
  const sources = {};
  for (const file of solidityFiles(src)) {
    if (only.length && !only.includes(path.basename(file, '.sol'))) continue;
    sources[`src/${file}`] = { content: fs.readFileSync(path.join(src, file), 'utf8') };
  }
  if (!Object.keys(sources).length) fail(`no source found in ${src}`);
  return {
    language: 'Solidity',
    sources,
    settings: {
      optimizer: { enabled: true, runs: 10000 },
      evmVersion: 'cancun',
      viaIR: false,
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
    },
  };
}

function importer(src) {
  return name => {
    const file = name.startsWith('src/') ? path.join(src, name.slice(4)) : path.join(MODULES, name);
    try {
      return { contents: fs.readFileSync(file, 'utf8') };
    } catch (error) {
      return { error: `${file}: ${error.code}` };
    }
  };
}

function compile(input, src) {
  let solc;
  try {
    solc = require(path.join(MODULES, 'solc'));
  } catch (error) {
    fail(`the compiler is missing (${error.code}); run \`cargo xtask contracts\`, or \`npm ci --ignore-scripts\` here`);
  }
  if (!solc.version().startsWith(`${SOLC_VERSION}+`)) fail(`solc ${SOLC_VERSION} is needed, found ${solc.version()}`);
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: importer(src) }));
  const ours = e => e.severity === 'error' || !e.sourceLocation || e.sourceLocation.file.startsWith('src/');
  const found = (output.errors || []).filter(e => ours(e) && !ALLOWED_WARNINGS.has(e.errorCode));
  if (found.length) fail(`${found.length} message(s)\n\n${found.map(e => e.formattedMessage).join('\n')}`);
  return output.contracts;
}

/** [name, text] of every contract that can be deployed and of every library with code. */
function artifacts(contracts, only) {
  const made = [];
  for (const [file, inFile] of Object.entries(contracts)) {
    for (const [name, contract] of Object.entries(inFile)) {
      if (!file.startsWith('src/') || (only.length && !only.includes(name))) continue;
      const { bytecode, deployedBytecode } = contract.evm;
      if (!bytecode.object || !contract.abi.length) continue;
      const kept = {
        abi: contract.abi,
        bytecode: { object: `0x${bytecode.object}` },
        deployedBytecode: { object: `0x${deployedBytecode.object}` },
      };
      made.push([name, `${JSON.stringify(kept, null, 1)}\n`]);
    }
  }
  return made.sort(([a], [b]) => (a < b ? -1 : 1));
}

function write(out, made) {
  fs.mkdirSync(out, { recursive: true });
  for (const file of fs.readdirSync(out)) if (/\.json$/.test(file)) fs.rmSync(path.join(out, file));
  const sums = made.map(([name, text]) => {
    fs.writeFileSync(path.join(out, `${name}.json`), text);
    return `${crypto.createHash('sha256').update(text).digest('hex')}  ${name}.json\n`;
  });
  fs.writeFileSync(path.join(out, 'SHA256SUMS'), sums.join(''));
  const size = text => (JSON.parse(text).deployedBytecode.object.length - 2) / 2;
  for (const [name, text] of made) console.log(`${name.padEnd(20)} ${String(size(text)).padStart(6)} bytes of code`);
}

const { src, out, only } = options(process.argv.slice(2));
write(out, artifacts(compile(standardInput(src, only), src), only));
