// The example server of Zitadel's library as an issuer of the tests: its own pages, storage and tokens, on the loopback
// interface only and with a client whose access tokens are JWTs beside those that it comes with.
//
//	zitadel PORT USERS    its name is http://127.0.0.1:PORT/, with the slash; USERS is a file of people
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const redirect = "http://localhost/oidc-callback.html"

// store answers for one client more than the example's.
type store struct {
	*storage.Storage
}

// signed is a client whose access tokens are signed and not encrypted.
type signed struct {
	op.Client
}

func (signed) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := s.Storage.GetClientByClientID(ctx, id)
	if err == nil && id == "signed" {
		client = signed{client}
	}
	return client, err
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: zitadel PORT USERS")
	}
	address := "127.0.0.1:" + os.Args[1]
	users, err := storage.StoreFromFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	storage.RegisterClients(
		storage.NativeClient("opaque", redirect),
		storage.NativeClient("signed", redirect),
		storage.WebClient("gate", os.Getenv("GATE_SECRET"), redirect),
	)
	handler := exampleop.SetupServer("http://"+address+"/", store{storage.NewStorage(users)}, nil, false)
	log.Fatal(http.ListenAndServe(address, handler))
}
