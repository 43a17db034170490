// SPDX-License-Identifier: Apache-2.0
//
// health [--argo SCRIPT]: what GitOps tools make of objects. Reads objects as JSON, one after the other or as Lists,
// and prints for each a line `kind/name STATUS: message`, where STATUS is what kstatus computes, or with --argo
// what a health script of Argo CD says.

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

type judge func(*unstructured.Unstructured) (string, string, error)

func kstatus(object *unstructured.Unstructured) (string, string, error) {
	result, err := status.Compute(object)
	if err != nil {
		return "", "", err
	}
	return string(result.Status), result.Message, nil
}

// argo runs a script as Argo CD does: the object is the global obj, the script returns a table.
func argo(script string) judge {
	return func(object *unstructured.Unstructured) (string, string, error) {
		state := lua.NewState(lua.Options{SkipOpenLibs: true})
		defer state.Close()
		// Argo CD gives scripts these libraries and no others.
		for name, open := range map[string]lua.LGFunction{
			lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
			lua.StringLibName: lua.OpenString,
		} {
			err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name))
			if err != nil {
				return "", "", err
			}
		}
		state.SetGlobal("obj", toLua(state, object.Object))
		if err := state.DoString(script); err != nil {
			return "", "", err
		}
		table, ok := state.Get(-1).(*lua.LTable)
		if !ok {
			return "", "", errors.New("the script returns no table")
		}
		return lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message")), nil
	}
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

func report(object *unstructured.Unstructured, how judge) error {
	verdict, message, err := how(object)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", object.GetKind(), object.GetName(), err)
	}
	fmt.Printf("%s/%s %s: %s\n", strings.ToLower(object.GetKind()), object.GetName(), verdict, message)
	return nil
}

func run(input io.Reader, how judge) error {
	decoder := json.NewDecoder(input)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(raw); err != nil {
			return err
		}
		if !object.IsList() {
			if err := report(object, how); err != nil {
				return err
			}
			continue
		}
		err := object.EachListItem(func(item runtime.Object) error {
			return report(item.(*unstructured.Unstructured), how)
		})
		if err != nil {
			return err
		}
	}
}

func main() {
	script := flag.String("argo", "", "health script of Argo CD to run instead of kstatus")
	flag.Parse()
	how := judge(kstatus)
	if *script != "" {
		text, err := os.ReadFile(*script)
		if err != nil {
			fail(err)
		}
		how = argo(string(text))
	}
	if err := run(os.Stdin, how); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "health: %v\n", err)
	os.Exit(1)
}
