using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dbt.Translator.State;

namespace Dbt.Translator.Emit;

/// <summary>RDTSC for translated code.</summary>
internal static unsafe class TimeStampCounter
{
    /// <summary>What RDTSC gives.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong Read(CpuState* cpu) => ((Platform)GCHandle.FromIntPtr(cpu->Platform).Target!).ReadTsc(cpu);
}
