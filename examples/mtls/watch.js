// Watches as a node that has a certificate: watch.js PROTO SERVER CA CERT KEY
//
// Prints how many messages came, once a team named "last" has come. Fails if the stream ends before, or if the server
// lets in a client without a certificate.

const { readFileSync } = require('node:fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [proto, server, ca, cert, key] = process.argv.slice(2);
const definition = loader.loadSync('tollgate/v1/config_service.proto', { includeDirs: [proto], keepCase: true });
const { ConfigService } = grpc.loadPackageDefinition(definition).tollgate.v1;

const fail = (text) => {
  console.error(`node: ${text}`);
  process.exit(1);
};

const connect = (...identity) => new ConfigService(server, grpc.credentials.createSsl(readFileSync(ca), ...identity));

const stranger = connect().WatchConfig({ node_id: 'gateway-1' }, { deadline: Date.now() + 10_000 });
stranger.on('data', () => fail('was let in without a certificate'));
stranger.on('error', (error) => (error.code === grpc.status.UNAVAILABLE ? watch() : fail(error.message)));

function watch() {
  const stream = connect(readFileSync(key), readFileSync(cert)).WatchConfig({ node_id: 'gateway-1' });
  let count = 0;
  stream.on('data', (message) => {
    count += 1;
    if (message.begin) console.log('node: begun');
    const upserts = message.batch?.upserts ?? [];
    if (upserts.some((resource) => resource.team?.name === 'last')) {
      console.log(`node: all came, in ${count} messages`);
      process.exit();
    }
  });
  stream.on('error', (error) => fail(error.message));
  stream.on('end', () => fail('the stream ended'));
}
