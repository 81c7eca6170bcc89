using System.Reflection;
using System.Runtime.InteropServices;
using Dbt.Translator.Cache;
using Dbt.Translator.State;

namespace Dbt.Translator.Emit;

/// <summary>Entries to <see cref="RepeatedStrings"/> for translated code that runs as unmanaged code.</summary>
internal static unsafe class RepeatedStringEntries
{
    /// <summary>A method of <see cref="RepeatedStrings"/>, known to <see cref="HostHelpers"/>.</summary>
    public static MethodInfo Find(string name)
    {
        MethodInfo method = typeof(RepeatedStrings).GetMethod(name) ?? throw new MissingMethodException(nameof(RepeatedStrings), name);
        HostHelpers.Shared.Add(method, name switch
        {
            nameof(RepeatedStrings.Move) => (nint)(delegate* unmanaged<CpuState*, uint, uint, uint, int, uint>)&Move,
            nameof(RepeatedStrings.Fill) => (nint)(delegate* unmanaged<CpuState*, uint, uint, uint, int, uint>)&Fill,
            nameof(RepeatedStrings.Compare) => (nint)(delegate* unmanaged<CpuState*, uint, uint, uint, int, byte, ulong>)&Compare,
            _ => (nint)(delegate* unmanaged<CpuState*, uint, uint, uint, int, byte, ulong>)&Scan,
        });
        return method;
    }

    [UnmanagedCallersOnly]
    private static uint Move(CpuState* cpu, uint source, uint destination, uint count, int size) => RepeatedStrings.Move(cpu, source, destination, count, size);

    [UnmanagedCallersOnly]
    private static uint Fill(CpuState* cpu, uint destination, uint value, uint count, int size) => RepeatedStrings.Fill(cpu, destination, value, count, size);

    [UnmanagedCallersOnly]
    private static ulong Compare(CpuState* cpu, uint source, uint destination, uint count, int size, byte whileEqual) =>
        RepeatedStrings.Compare(cpu, source, destination, count, size, whileEqual != 0);

    [UnmanagedCallersOnly]
    private static ulong Scan(CpuState* cpu, uint destination, uint value, uint count, int size, byte whileEqual) =>
        RepeatedStrings.Scan(cpu, destination, value, count, size, whileEqual != 0);
}
