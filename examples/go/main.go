// Asks a node whether a request to a model may go on, and tells it what the request used:
// ask PLACE VIRTUAL-KEY MODEL. How to generate the code that it imports: examples/generated.sh.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	tollgatenodev1 "tollgate/node/v1"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: ask PLACE VIRTUAL-KEY MODEL")
	}
	connection, err := grpc.Dial(os.Args[1], grpc.WithInsecure()) // a node listens on this machine alone
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	gate := tollgatenodev1.NewGateServiceClient(connection)
	if err := serve(gate, os.Args[2], os.Args[3], "Why is the sky blue?"); err != nil {
		log.Fatal(err)
	}
}

// serve is how a gateway handles one request.
func serve(gate tollgatenodev1.GateServiceClient, key, model, prompt string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	answer, err := gate.Admit(ctx, &tollgatenodev1.AdmitRequest{
		Credential: &tollgatenodev1.AdmitRequest_VirtualKeyValue{VirtualKeyValue: key},
		Model:      model,
		Estimate:   &tollgatenodev1.Estimate{PromptBytes: int64(len(prompt))},
	})
	if err != nil {
		return err
	}
	if refused := answer.GetRefused(); refused != nil {
		return fmt.Errorf("refused with %d: %s: %s", refused.HttpStatus, refused.Decision, refused.Reason)
	}
	admitted := answer.GetAdmitted()
	inputTokens, outputTokens, err := complete(admitted.Provider, admitted.Model, prompt)
	if err != nil { // nothing was used
		gate.Abandon(ctx, &tollgatenodev1.AbandonRequest{AdmissionId: admitted.AdmissionId})
		return err
	}
	charge, err := gate.Settle(ctx, &tollgatenodev1.SettleRequest{
		AdmissionId: admitted.AdmissionId, InputTokens: inputTokens, OutputTokens: outputTokens,
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s cost %d nano-dollars\n", admitted.Provider, admitted.Model, charge.CostNanoUsd)
	return nil
}

// complete stands in for a call of the provider.
func complete(provider, model, prompt string) (inputTokens, outputTokens int64, err error) {
	return 12, 7, nil
}
