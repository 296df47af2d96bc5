// The life of a domain by a client that has nothing of libvirt's own library: define, start, be told, stop, forget.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/digitalocean/go-libvirt"
)

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func main() {
	socket, err := net.DialTimeout("unix", os.Args[1], 5*time.Second)
	check(err, "dial")
	document, err := os.ReadFile(os.Args[2])
	check(err, "read")
	connection := libvirt.New(socket)
	check(connection.Connect(), "connect")
	version, err := connection.ConnectGetLibVersion()
	check(err, "version")
	fmt.Println("version", version > 0)

	events, err := connection.LifecycleEvents(context.Background())
	check(err, "events")
	domain, err := connection.DomainDefineXML(string(document))
	check(err, "define")
	_, err = connection.DomainLookupByName("nobody")
	fmt.Println("nobody", libvirt.IsNotFound(err))
	check(connection.DomainCreate(domain), "start")
	running, _, err := connection.DomainGetState(domain, 0)
	check(err, "state")
	fmt.Println("state", running)
	domains, _, err := connection.ConnectListAllDomains(1, libvirt.ConnectListDomainsActive)
	check(err, "list")
	fmt.Println("active", len(domains), domains[0].Name)
	_, memory, _, vcpus, _, err := connection.DomainGetInfo(domain)
	check(err, "info")
	fmt.Println("info", memory, vcpus)
	// What is not served is told so that the client knows it.
	_, err = connection.DomainMemoryPeek(domain, 0, 8, 1)
	fmt.Println("peek", err != nil)
	check(connection.DomainDestroy(domain), "destroy")
	check(connection.DomainUndefine(domain), "undefine")
	var told []string
	for len(told) < 5 {
		select {
		case event := <-events:
			told = append(told, fmt.Sprintf("%d/%d", event.Event, event.Detail))
		case <-time.After(20 * time.Second):
			check(fmt.Errorf("only %v", told), "events")
		}
	}
	fmt.Println("told", told)
	check(connection.Disconnect(), "disconnect")
}
