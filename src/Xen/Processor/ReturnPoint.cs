using Dbt.Translator.State;

namespace Dbt.Xen.Processor;

/// <summary>Where guest code stands or is to go on: what an interrupt frame holds.</summary>
/// <param name="Cs">Code selector; its RPL is the privilege level.</param>
/// <param name="Eip">Offset in it.</param>
/// <param name="Eflags">Flags, without what the hypervisor owns (IF, IOPL, VM).</param>
/// <param name="Ss">Stack selector.</param>
/// <param name="Esp">Offset in it.</param>
internal readonly record struct ReturnPoint(ushort Cs, uint Eip, uint Eflags, ushort Ss, uint Esp)
{
    /// <summary>Whether an entry to the guest's kernel from here changes to the kernel stack.</summary>
    public bool IsOuter => (Cs & 2) != 0;

    /// <summary>Where the processor stands now.</summary>
    public static unsafe ReturnPoint Of(CpuState* cpu) => new(
        cpu->Segments[SegmentIndex.Cs].Selector,
        cpu->Eip,
        LazyFlags.Read(cpu),
        cpu->Segments[SegmentIndex.Ss].Selector,
        cpu->Gpr[(int)Gpr.Esp]);
}
