using System.Runtime.InteropServices;
using Dbt.Translator.State;

namespace Dbt.Translator.Emit;

/// <summary>Entries to C# for translated code that runs as unmanaged code: what is more than a copy of its machine code can be.</summary>
internal static unsafe class HelperEntries
{
    /// <summary>Whose methods are called so.</summary>
    public static bool Has(Type? type) => type == typeof(RepeatedStrings) || type == typeof(TimeStampCounter);

    /// <summary>The entry to a method, by its name.</summary>
    public static nint Of(string name) => name switch
    {
        nameof(RepeatedStrings.Move) => (nint)(delegate* unmanaged<CpuState*, uint, uint, uint, int, uint>)&Move,
        nameof(RepeatedStrings.Fill) => (nint)(delegate* unmanaged<CpuState*, uint, uint, uint, int, uint>)&Fill,
        nameof(RepeatedStrings.Compare) => (nint)(delegate* unmanaged<CpuState*, uint, uint, uint, int, byte, ulong>)&Compare,
        nameof(RepeatedStrings.Scan) => (nint)(delegate* unmanaged<CpuState*, uint, uint, uint, int, byte, ulong>)&Scan,
        nameof(TimeStampCounter.Read) => (nint)(delegate* unmanaged<CpuState*, ulong>)&ReadTimeStampCounter,
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };

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

    [UnmanagedCallersOnly]
    private static ulong ReadTimeStampCounter(CpuState* cpu) => TimeStampCounter.Read(cpu);
}
