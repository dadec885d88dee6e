import com.tollgate.node.v1.AdmitRequest;
import com.tollgate.node.v1.AdmitResponse;
import com.tollgate.node.v1.Admission;
import com.tollgate.node.v1.GateServiceGrpc;
import com.tollgate.node.v1.Refusal;
import com.tollgate.node.v1.SettleRequest;
import com.tollgate.node.v1.SettleResponse;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;

/**
 * Asks a node whether a request to a model may go on, and tells it what the request used: {@code Ask PLACE VIRTUAL-KEY MODEL}.
 * How to generate the code that it imports: examples/generated.sh.
 */
final class Ask {
    public static void main(String[] args) {
        // A node listens on this machine alone.
        ManagedChannel channel = ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build();
        try {
            ask(GateServiceGrpc.newBlockingStub(channel), args[1], args[2]);
        } finally {
            channel.shutdownNow();
        }
    }

    private static void ask(GateServiceGrpc.GateServiceBlockingStub gate, String key, String model) {
        AdmitResponse answer = gate.admit(AdmitRequest.newBuilder().setVirtualKeyValue(key).setModel(model).build());
        if (answer.hasRefused()) {
            Refusal refused = answer.getRefused();
            System.err.printf("refused with %d: %s: %s%n", refused.getHttpStatus(), refused.getDecision(), refused.getReason());
            System.exit(1);
        }
        Admission admitted = answer.getAdmitted();
        // Here the gateway calls the provider, which says what the request used.
        SettleRequest used = SettleRequest.newBuilder()
                .setAdmissionId(admitted.getAdmissionId()).setInputTokens(12).setOutputTokens(7).build();
        SettleResponse charge = gate.settle(used);
        System.out.printf("%s/%s cost %d nano-dollars%n", admitted.getProvider(), admitted.getModel(), charge.getCostNanoUsd());
    }
}
