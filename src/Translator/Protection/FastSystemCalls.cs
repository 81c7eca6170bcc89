using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>SYSENTER and SYSEXIT (SDM vol. 2).</summary>
internal sealed unsafe class FastSystemCalls(SystemUnit system)
{
    private const ulong FlatCode = 0x00CF_9B00_0000_FFFF, FlatData = 0x00CF_9300_0000_FFFF;

    public bool Enter(CpuState* cpu)
    {
        SystemRegisters registers = system.Registers;
        if ((registers.EntryCs & 0xFFFC) == 0)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        cpu->Eflags &= ~(Flags.Vm | Flags.If | Flags.Rf);
        Load(cpu, (ushort)(registers.EntryCs & 0xFFFC), 0);
        cpu->Gpr[(int)Gpr.Esp] = registers.EntryEsp;
        cpu->Eip = registers.EntryEip;
        cpu->RefreshMode();
        return true;
    }

    public bool Exit(CpuState* cpu)
    {
        uint selector = system.Registers.EntryCs & 0xFFFC;
        if (selector == 0 || cpu->Cpl != 0)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        Load(cpu, (ushort)(selector + 16), 3);
        cpu->Gpr[(int)Gpr.Esp] = cpu->Gpr[(int)Gpr.Ecx];
        cpu->Eip = cpu->Gpr[(int)Gpr.Edx];
        cpu->RefreshMode();
        return true;
    }

    private static void Load(CpuState* cpu, ushort selector, int level)
    {
        ulong dpl = (ulong)level << 45;
        cpu->Segments[SegmentIndex.Cs] = Segment.FromDescriptor((ushort)(selector | level), FlatCode | dpl);
        cpu->Segments[SegmentIndex.Ss] = Segment.FromDescriptor((ushort)((selector + 8) | level), FlatData | dpl);
        cpu->Cpl = level;
    }
}
