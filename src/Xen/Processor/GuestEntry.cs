using Dbt.Translator.State;

namespace Dbt.Xen.Processor;

/// <summary>
/// Puts the processor to a point of guest code as IRET from ring 0 does, with all of its checks (SDM vol. 2, IRET): that is how the
/// hypervisor goes back to a guest, and what keeps a guest from choosing ring 0 or a segment it may not have.
/// </summary>
internal static unsafe class GuestEntry
{
    /// <summary>Flags that are the guest's. The hypervisor's stay: IF is always set, IOPL and VM always clear (XSA-202).</summary>
    private const uint Loaded = Flags.Status | Flags.Tf | Flags.Df | Flags.Nt | Flags.Rf | Flags.Ac | Flags.Id;

    /// <summary>Goes to <paramref name="to"/>; nothing changes where a check fails.</summary>
    /// <param name="vcpu">The processor.</param>
    /// <param name="to">Target. RPL 0 has been ruled out by the caller or is refused here.</param>
    /// <param name="fault">Where the result is false: #GP, #NP or #SS with the selector.</param>
    public static bool TryGo(Vcpu vcpu, in ReturnPoint to, out Fault fault)
    {
        CpuState* cpu = vcpu.State;
        int level = to.Cs & 3;
        if (!TryLoadCode(vcpu, to.Cs, level, out Segment code, out fault) || !TryLoadStack(vcpu, to.Ss, level, out Segment stack, out fault))
        {
            return false;
        }

        if (to.Eip > code.High)
        {
            fault = new Fault { Vector = Vector.GeneralProtection };
            return false;
        }

        bool outward = level > cpu->Cpl;
        cpu->Segments[SegmentIndex.Cs] = code;
        cpu->Segments[SegmentIndex.Ss] = stack;
        cpu->Cpl = level;
        cpu->Eip = to.Eip;
        cpu->Gpr[(int)Gpr.Esp] = to.Esp;
        cpu->FlagOp = (uint)FlagOperation.Materialised;
        cpu->Eflags = (to.Eflags & Loaded) | Flags.If | Flags.Fixed;
        if (outward)
        {
            DropInnerSegments(cpu, level);
        }

        cpu->InterruptShadow = 0;
        cpu->RefreshMode();
        return true;
    }

    /// <summary>Loads a data segment register as ring 0 does before it goes to the guest; what can't be loaded becomes null.</summary>
    /// <returns>False where it couldn't be loaded.</returns>
    public static bool TryLoadData(Vcpu vcpu, SegmentIndex index, ushort selector)
    {
        Segment segment = Segment.Null(selector);
        bool usable = true;
        if ((selector & ~3) != 0)
        {
            usable = vcpu.Descriptors.TryRead(selector, out ulong descriptor);
            segment = Segment.FromDescriptor(selector, descriptor);
            bool conforming = (segment.Attributes & 0x1C) == 0x1C;
            usable = usable && segment.Present && segment.Readable && (conforming || segment.Dpl >= (selector & 3));
        }

        vcpu.State->Segments[index] = usable ? segment : Segment.Null(0);
        return usable;
    }

    private static bool TryLoadCode(Vcpu vcpu, ushort selector, int level, out Segment segment, out Fault fault)
    {
        segment = default;
        fault = Protection(selector);
        if (level == 0 || (selector & ~3) == 0 || !vcpu.Descriptors.TryRead(selector, out ulong descriptor))
        {
            return false;
        }

        segment = Segment.FromDescriptor(selector, descriptor);
        bool conforming = (segment.Type & 4) != 0;
        if (!segment.IsCode || (conforming ? segment.Dpl > level : segment.Dpl != level))
        {
            return false;
        }

        if (!segment.Present)
        {
            fault.Vector = Vector.SegmentNotPresent;
            return false;
        }

        return true;
    }

    private static bool TryLoadStack(Vcpu vcpu, ushort selector, int level, out Segment segment, out Fault fault)
    {
        segment = default;
        fault = Protection(selector);
        if ((selector & ~3) == 0 || (selector & 3) != level || !vcpu.Descriptors.TryRead(selector, out ulong descriptor))
        {
            return false;
        }

        segment = Segment.FromDescriptor(selector, descriptor);
        if (!segment.Writable || segment.Dpl != level)
        {
            return false;
        }

        if (!segment.Present)
        {
            fault.Vector = Vector.StackFault;
            return false;
        }

        return true;
    }

    /// <summary>Data segments more privileged than the level that is entered become null (SDM vol. 2, IRET-RETURN-TO-OUTER-PRIVILEGE-LEVEL).</summary>
    private static void DropInnerSegments(CpuState* cpu, int level)
    {
        ReadOnlySpan<SegmentIndex> data = [SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs];
        foreach (SegmentIndex index in data)
        {
            ref Segment segment = ref cpu->Segments[index];
            bool conforming = (segment.Attributes & 0x1C) == 0x1C;
            if (segment.Present && !conforming && segment.Dpl < level)
            {
                segment = Segment.Null(0);
            }
        }
    }

    private static Fault Protection(ushort selector) => new() { Vector = Vector.GeneralProtection, ErrorCode = (uint)(selector & ~3) };
}
