using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>
/// The breakpoint unit (SDM vol. 3, 17.2): what DR7 enables, matched against instructions, data and ports. While any breakpoint is
/// enabled the processor runs one instruction at a time (<see cref="CpuMode.Watched"/>), so nothing here is on a fast path.
/// </summary>
internal static unsafe class Breakpoints
{
    /// <summary>Bits of DR6 that read as one.</summary>
    public const uint Dr6Fixed = 0xFFFF0FF0;

    /// <summary>Bits of DR7 that read as one.</summary>
    public const uint Dr7Fixed = 0x00000400;

    /// <summary>DR6.BD: a debug register was touched under DR7.GD.</summary>
    public const uint AccessDetected = 1u << 13;

    /// <summary>DR6.BT: a task switch to a TSS with its T bit set.</summary>
    public const uint TaskSwitched = 1u << 15;

    /// <summary>DR7.GD.</summary>
    public const uint GeneralDetect = 1u << 13;

    private const uint Execute = 0, Write = 1, Port = 2;

    /// <summary>Raises #DB, as a fault, where a breakpoint is set on the instruction at EIP.</summary>
    /// <returns>True where it was raised.</returns>
    public static bool TakeInstruction(CpuState* cpu)
    {
        uint linear = cpu->Segments[SegmentIndex.Cs].Base + cpu->Eip;
        uint hits = 0;
        for (int i = 0; i < 4; i++)
        {
            if (IsEnabled(cpu, i) && Kind(cpu, i) == Execute && cpu->Dr[i] == linear)
            {
                hits |= 1u << i;
            }
        }

        if (hits == 0)
        {
            return false;
        }

        cpu->Dr[6] = (cpu->Dr[6] & ~0xFu) | hits;
        cpu->Fault = new Fault { Vector = Vector.Debug };
        return true;
    }

    /// <summary>Notes the breakpoints that a data access meets; the trap comes after the instruction.</summary>
    public static void TakeData(CpuState* cpu, uint linear, uint size, MemoryAccess access)
    {
        for (int i = 0; i < 4; i++)
        {
            bool watched = Kind(cpu, i) switch
            {
                Execute or Port => false,
                Write => access == MemoryAccess.Write,
                _ => true,
            };
            if (watched && IsEnabled(cpu, i) && Overlaps(cpu, i, linear, size))
            {
                cpu->BreakpointHits |= 1u << i;
            }
        }
    }

    /// <summary>Notes the breakpoints that an access to ports meets, which CR4.DE offers.</summary>
    public static void TakePort(CpuState* cpu, uint port, uint size)
    {
        for (int i = 0; i < 4; i++)
        {
            if (Kind(cpu, i) == Port && (cpu->Cr4 & ControlBits.Cr4De) != 0 && IsEnabled(cpu, i) && Overlaps(cpu, i, port, size))
            {
                cpu->BreakpointHits |= 1u << i;
            }
        }
    }

    private static bool IsEnabled(CpuState* cpu, int index) => (cpu->Dr[7] & (3u << (index * 2))) != 0;

    private static uint Kind(CpuState* cpu, int index) => (cpu->Dr[7] >> (16 + (index * 4))) & 3;

    private static bool Overlaps(CpuState* cpu, int index, uint start, uint size)
    {
        uint width = ((cpu->Dr[7] >> (18 + (index * 4))) & 3) switch { 0 => 1, 1 => 2, 2 => 8, _ => 4 };
        uint first = cpu->Dr[index] & ~(width - 1);
        return first - start < size || start - first < width;
    }
}
