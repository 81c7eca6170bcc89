using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Diagnostics;

/// <summary>
/// Where a processor tells where it is. Translated code keeps EIP in a local, so nobody else can know: whoever samples sets
/// <see cref="CpuState.SampleWanted"/> and Attention, and the processor reports at the next place where it looks at Attention.
/// </summary>
internal static unsafe class SamplePoint
{
    /// <summary>Reports if somebody asked. On the processor's thread, with EIP in the state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Visit(CpuState* cpu)
    {
        if (cpu->SampleWanted != 0)
        {
            Report(cpu);
        }
    }

    /// <summary>Reports. The page is known while the software TLB has it, which it does for code that just ran.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Report(CpuState* cpu)
    {
        uint address = cpu->Segments[SegmentIndex.Cs].Base + cpu->Eip;
        long entry = *(long*)(cpu->Tlb + ((nint)MemoryAccess.Execute * SoftwareTlb.TableBytes) + ((nint)(address >> 12) * 8));
        cpu->SampledAddress = address;
        cpu->SampledCr3 = cpu->Cr3;
        cpu->SampledCpl = cpu->Cpl;
        cpu->SampledPage = entry == 0 ? 0 : (nint)(entry + (address & ~0xFFFu));
        cpu->SampleWanted = 0;
    }
}
