using System.Reflection;
using System.Runtime.CompilerServices;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// Methods of ours that translated code calls where RyuJIT does not inline them. Code that runs as unmanaged code calls a copy of their
/// machine code, made as its own was; where there can be none, an entry that unmanaged code may call. Thread-safe.
/// </summary>
internal sealed unsafe class HostHelpers
{
    private const int JumpBytes = 12;
    private const int MostJumps = 8;

    // Whose methods translated code calls.
    private static readonly Type[] Types = [typeof(LazyFlags), typeof(FlagMath), typeof(RepeatedStrings), typeof(TimeStampCounter)];

    private readonly Lock _lock = new();
    private readonly Dictionary<nint, string> _names = [];
    private readonly Dictionary<string, MethodInfo> _methods = [];
    private readonly Dictionary<string, nint> _entries = [];

    /// <summary>All there are.</summary>
    public static HostHelpers Shared { get; } = new();

    /// <summary>Makes a method known, which has been compiled.</summary>
    public void Add(MethodInfo method)
    {
        if (Types.Contains(method.DeclaringType))
        {
            string types = string.Join(',', method.GetGenericArguments().Select(type => type.Name));
            lock (_lock)
            {
                _methods[$"{method.DeclaringType!.Name}.{method.Name}{(types.Length != 0 ? $"<{types}>" : "")}"] = method;
            }
        }
    }

    /// <summary>The name of what is at an address; null where it is none of them.</summary>
    public string? NameOf(nint target)
    {
        nint code = Resolve(target);
        lock (_lock)
        {
            if (_names.TryGetValue(code, out string? known))
            {
                return known;
            }

            // The runtime compiles a method that is called often once more.
            foreach ((string name, MethodInfo method) in _methods)
            {
                _names[Resolve(method.MethodHandle.GetFunctionPointer())] = name;
                _names[method.MethodHandle.Value] = name;
            }

            return _names.GetValueOrDefault(code);
        }
    }

    /// <summary>Where unmanaged code calls a helper, near its own; 0 where it can't.</summary>
    public nint EntryOf(string name)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue(name, out nint known))
            {
                return known;
            }

            nint entry = (_methods.GetValueOrDefault(name) ?? Find(name)) is { } method ? MakeEntry(method) : 0;
            _entries.Add(name, entry);
            return entry;
        }
    }

    private nint MakeEntry(MethodInfo method)
    {
        if (!HelperEntries.Has(method.DeclaringType))
        {
            RuntimeHelpers.PrepareMethod(method.MethodHandle, Array.ConvertAll(method.GetGenericArguments(), type => type.TypeHandle));
            nint function = Resolve(method.MethodHandle.GetFunctionPointer());
            return function != method.MethodHandle.Value && MachineCodeReader.Read(function, this, out _) is { } code ? CompiledCode.Place(code) : 0;
        }

        nint address = CodeHeap.Allocate(JumpBytes);
        if (address != 0)
        {
            // MOV RAX, entry; JMP RAX.
            byte* at = (byte*)address;
            (at[0], at[1], at[10], at[11]) = (0x48, 0xB8, 0xFF, 0xE0);
            *(nint*)(at + 2) = HelperEntries.Of(method.Name);
        }

        return address;
    }

    /// <summary>The method of a name that kept code has, whether or not anything was emitted in this process.</summary>
    private static MethodInfo? Find(string name)
    {
        int dot = name.IndexOf('.', StringComparison.Ordinal), bracket = name.IndexOf('<', StringComparison.Ordinal);
        string methodName = name[(dot + 1)..(bracket < 0 ? name.Length : bracket)];
        MethodInfo? method = Array.Find(Types, type => type.Name == name[..Math.Max(dot, 0)])?.GetMethod(methodName);
        if (method is null || method.IsGenericMethodDefinition != bracket >= 0)
        {
            return null;
        }

        Type? argument = bracket < 0 ? null : typeof(IShift).Assembly.GetType($"{typeof(IShift).Namespace}.{name[(bracket + 1)..^1]}");
        return bracket < 0 ? method : argument is { IsValueType: true } && argument.IsAssignableTo(typeof(IShift)) ? method.MakeGenericMethod(argument) : null;
    }

    /// <summary>
    /// Follows jumps that the runtime puts before a method's code. Where one has not been led to the code yet, it passes the runtime's
    /// handle of the method: then that.
    /// </summary>
    private static nint Resolve(nint target)
    {
        var at = (byte*)target;
        for (int i = 0; i < MostJumps; i++)
        {
            if (at[0] == 0xFF && at[1] == 0x25)
            {
                at = *(byte**)(at + 6 + *(int*)(at + 2));
            }
            else if (at[0] == 0xE9)
            {
                at = at + 5 + *(int*)(at + 1);
            }
            else if (at[0] == 0x4C && at[1] == 0x8B && at[2] == 0x15)
            {
                // MOV R10, handle.
                return *(nint*)(at + 7 + *(int*)(at + 3));
            }
            else
            {
                break;
            }
        }

        return (nint)at;
    }
}
