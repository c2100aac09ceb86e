package argocdtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// scriptTime is how long Argo CD lets a script run.
const scriptTime = time.Second

// libraries are those that scripts in argocd-cm have: neither strings nor
// mathematics. (Argo CD gives them the time, too, which ours have no use for.)
var libraries = map[string]lua.LGFunction{
	lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
}

// run runs a script on an object and parses what it returns into result.
func run(script string, obj map[string]any, params map[string]string, result any) error {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, name := range []string{lua.LoadLibName, lua.BaseLibName, lua.TabLibName} {
		open := lua.P{Fn: state.NewFunction(libraries[name]), Protect: true}
		if err := state.CallByParam(open, lua.LString(name)); err != nil {
			return fmt.Errorf("opening Lua's library %q: %w", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptTime)
	defer cancel()
	state.SetContext(ctx)

	given := state.NewTable()
	for name, value := range params {
		given.RawSetString(name, lua.LString(value))
	}
	state.SetGlobal("actionParams", given)
	state.SetGlobal("obj", toLua(state, obj))
	if err := state.DoString(script); err != nil {
		if failed, is := errors.AsType[*lua.ApiError](err); is && failed.Type == lua.ApiErrorRun {
			failed.StackTrace = "" // users read it
		}
		return err
	}
	table, is := state.Get(-1).(*lua.LTable)
	if !is {
		return fmt.Errorf("the script returned a %s, not a table", state.Get(-1).Type())
	}
	value, err := fromLua(table)
	if err != nil {
		return err
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, result)
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case int64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		list := state.CreateTable(len(v), 0)
		for _, item := range v {
			list.Append(toLua(state, item))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(v))
		for key, item := range v {
			table.RawSetH(lua.LString(key), toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

// fromLua returns what JSON has for a value. A table without entries is a list: Lua
// knows no difference.
func fromLua(value lua.LValue) (any, error) {
	switch v := value.(type) {
	case *lua.LNilType:
		return nil, nil
	case lua.LBool:
		return bool(v), nil
	case lua.LNumber:
		return float64(v), nil
	case lua.LString:
		return string(v), nil
	case *lua.LTable:
		if first, _ := v.Next(lua.LNil); first.Type() == lua.LTString {
			return objectFromLua(v)
		}
		list := make([]any, 0, v.Len())
		for i := 1; i <= v.Len(); i++ {
			item, err := fromLua(v.RawGetInt(i))
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, nil
	}
	return nil, fmt.Errorf("a %s cannot be JSON", value.Type())
}

func objectFromLua(table *lua.LTable) (any, error) {
	object := map[string]any{}
	var failed error
	table.ForEach(func(key, item lua.LValue) {
		name, is := key.(lua.LString)
		if !is {
			failed = fmt.Errorf("a table with keys of type string and %s is neither a list nor an object", key.Type())
			return
		}
		value, err := fromLua(item)
		if err != nil {
			failed = fmt.Errorf("%s: %w", string(name), err)
			return
		}
		object[string(name)] = value
	})
	return object, failed
}
