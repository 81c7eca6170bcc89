using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Time;

namespace Dbt.Xen.Processor;

/// <summary>What a processor and the shared_info page look like before the guest's first instruction.</summary>
internal static unsafe class StartOfDay
{
    /// <summary>A processor in ring 1 with the flat segments, registers 0, FPU as after FNINIT.</summary>
    public static void ResetProcessor(CpuState* cpu)
    {
        for (int i = 0; i < 8; i++)
        {
            cpu->Gpr[i] = 0;
            cpu->Dr[i] = 0;
        }

        cpu->Eip = 0;
        cpu->FlagOp = (uint)FlagOperation.Materialised;
        cpu->Eflags = Flags.Fixed | Flags.If;
        cpu->Cr0 = ControlRegisters.Cr0AtStart;
        cpu->Cr4 = ControlRegisters.Cr4AtStart;
        cpu->Dr[6] = DebugRegisters.Dr6AtStart;
        cpu->Dr[7] = DebugRegisters.Dr7AtStart;
        cpu->Cpl = 1;

        // The guest's tables are behind the hypervisor's own, of which it sees the limit alone.
        cpu->GdtrLimit = 0xFFFF;
        cpu->IdtrLimit = 0x0FFF;
        Segment data = Segment.FromDescriptor(Layout.FlatRing1Ds, 0x00CFB3000000FFFF);
        for (int i = 0; i < 6; i++)
        {
            cpu->Segments[(SegmentIndex)i] = data;
        }

        cpu->Segments[SegmentIndex.Cs] = Segment.FromDescriptor(Layout.FlatRing1Cs, 0x00CFBB000000FFFF);
        cpu->Ldtr = Segment.Null(0);
        cpu->Tr = Segment.Null(0);
        ResetFpu(cpu);
        cpu->RefreshMode();
    }

    /// <summary>FCW 37Fh, all registers empty, MXCSR 1F80h, in FXSAVE's layout.</summary>
    public static void ResetFpu(CpuState* cpu)
    {
        cpu->Fx = default;
        var area = (byte*)&cpu->Fx;
        *(ushort*)area = 0x37F;
        *(uint*)(area + 24) = 0x1F80;
        *(uint*)(area + 28) = 0xFFFF;
    }

    /// <summary>The shared_info page's first contents: all upcalls masked, the wall clock.</summary>
    public static void InitialiseSharedInfo(Domain domain)
    {
        byte* page = domain.SharedInfo;
        new Span<byte>(page, Layout.PageSize).Clear();
        for (int i = 0; i < SharedInfoLayout.LegacyVcpus; i++)
        {
            page[(i * SharedInfoLayout.VcpuInfoSize) + SharedInfoLayout.UpcallMask] = 1;
        }

        SharedTime.UpdateWallclock(domain);
    }
}
