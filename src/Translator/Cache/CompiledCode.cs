using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>
/// The code of a region, compiled, without a place: whoever has an instance for it may run it. It never changes, and is there as long as
/// anybody refers to it.
/// <para>
/// Where possible it is a copy of what RyuJIT made, in memory of our own, and runs as unmanaged code: the runtime does not know it, need not
/// stop it, and it can be kept in a file. What can't be copied stays a method of the runtime's. Code of one kind never jumps to the other.
/// </para>
/// </summary>
internal sealed unsafe class CompiledCode
{
    private readonly object? _method;

    private CompiledCode(nint function, object? method, MachineCode? machine, IReadOnlyList<ExitSite> sites, InstanceLayout instance, int ilBytes)
    {
        Function = function;
        Machine = machine;
        Sites = [.. sites];
        Instance = instance;
        IlBytes = ilBytes;
        _method = method;
    }

    /// <summary>Nobody can run it any more.</summary>
    ~CompiledCode()
    {
        if (Machine is not null)
        {
            FaultExits.Remove(Function, Machine.Accesses);
            CodeHeap.Release(Function, Machine.Bytes.Length);
        }
    }

    /// <summary>The code: <c>int (CpuState*, instance, way)</c>.</summary>
    public nint Function { get; }

    /// <summary>The copy, null where it is a method of the runtime's.</summary>
    public MachineCode? Machine { get; }

    /// <summary>Whether it runs as unmanaged code.</summary>
    public bool IsNative => Machine is not null;

    /// <summary>Its exits by number.</summary>
    public ExitSite[] Sites { get; }

    /// <summary>What its instances hold.</summary>
    public InstanceLayout Instance { get; }

    /// <summary>Length of its IL.</summary>
    public int IlBytes { get; }

    /// <summary>Compiles what was emitted. Any thread.</summary>
    public static CompiledCode Compile(EmittedRegion emitted)
    {
        nint function = DynamicMethodFactory.Compile(emitted.Method);
        if (RuntimeInformation.ProcessArchitecture == Architecture.X64
            && MachineCodeReader.ReadRegion(function, HostHelpers.Shared) is { } machine && Place(machine) is not 0 and nint copy)
        {
            GC.KeepAlive(emitted.Method);
            return new CompiledCode(copy, null, machine, emitted.Sites, emitted.Instance, emitted.IlBytes);
        }

        return new CompiledCode(function, emitted.Method, null, emitted.Sites, emitted.Instance, emitted.IlBytes);
    }

    /// <summary>Compiles a region that reaches memory by the address window, which only a copy may. Any thread.</summary>
    /// <param name="emitted">The region.</param>
    /// <param name="refused">Exit codes of the accesses that must be checked for it to be of use, where the result is null; none where nothing helps.</param>
    public static CompiledCode? CompileWindowed(EmittedRegion emitted, out IReadOnlySet<int> refused)
    {
        nint function = DynamicMethodFactory.Compile(emitted.Method);
        MachineCode? machine = MachineCodeReader.ReadWindowed(function, HostHelpers.Shared, out refused);
        GC.KeepAlive(emitted.Method);
        return machine is not null && Place(machine) is not 0 and nint copy ? new CompiledCode(copy, null, machine, emitted.Sites, emitted.Instance, emitted.IlBytes) : null;
    }

    /// <summary>Makes code that was kept.</summary>
    /// <returns>Null where there is no room for it, or something that it calls is not to be had.</returns>
    public static CompiledCode? Load(MachineCode machine, IReadOnlyList<ExitSite> sites, InstanceLayout instance, int ilBytes) =>
        Place(machine) is not 0 and nint copy ? new CompiledCode(copy, null, machine, sites, instance, ilBytes) : null;

    /// <summary>It is not thrown away before this.</summary>
    public void KeepAlive()
    {
        GC.KeepAlive(_method);
        GC.KeepAlive(this);
    }

    /// <summary>Puts code where it can run.</summary>
    /// <returns>0 where that is not possible.</returns>
    internal static nint Place(MachineCode machine)
    {
        foreach (HelperCall call in machine.Calls)
        {
            if (HostHelpers.Shared.EntryOf(call.Helper) == 0)
            {
                return 0;
            }
        }

        nint address = CodeHeap.Allocate(machine.Bytes.Length);
        if (address == 0)
        {
            return 0;
        }

        var memory = new Span<byte>((void*)address, machine.Bytes.Length);
        machine.Bytes.CopyTo(memory);
        foreach (HelperCall call in machine.Calls)
        {
            nint entry = HostHelpers.Shared.EntryOf(call.Helper);
            BinaryPrimitives.WriteInt32LittleEndian(memory[call.Offset..], (int)(entry - (address + call.Offset + sizeof(int))));
        }

        if (machine.Accesses.Length != 0 && !FaultExits.TryAdd(address, machine.Accesses))
        {
            CodeHeap.Release(address, machine.Bytes.Length);
            return 0;
        }

        return address;
    }
}
