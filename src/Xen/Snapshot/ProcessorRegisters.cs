using Dbt.Translator.State;
using Dbt.Xen.Processor;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// The architectural registers of either kind of processor, as a section's fields. Lazy flags are made architectural; nothing of an engine is in
/// it, so that any engine goes on with what another one had.
/// </summary>
internal static unsafe class ProcessorRegisters
{
    private const int MxcsrAt = 24;
    private const uint MxcsrBits = 0xFFFF, EflagsBits = 0x003F7FD5;

    // What a paravirtual guest's code may have set; the rest is the hypervisor's (XSA-202).
    private const uint PvEflags = Flags.Status | Flags.Tf | Flags.Df | Flags.Nt | Flags.Rf | Flags.Ac | Flags.Id;

    /// <summary>Writes them. The processor is between two instructions.</summary>
    public static void Write(SectionWriter writer, Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        for (int i = 0; i < 8; i++)
        {
            writer.UInt32(cpu->Gpr[i]);
        }

        writer.UInt32(cpu->Eip);
        writer.UInt32(LazyFlags.Read(cpu));
        writer.Byte((byte)cpu->Cpl);
        writer.Byte((byte)cpu->InterruptShadow);
        for (int i = 0; i < 6; i++)
        {
            Write(writer, cpu->Segments[(SegmentIndex)i]);
        }

        Write(writer, cpu->Ldtr);
        Write(writer, cpu->Tr);
        foreach (uint value in (ReadOnlySpan<uint>)[cpu->GdtrBase, cpu->GdtrLimit, cpu->IdtrBase, cpu->IdtrLimit, cpu->Cr0, cpu->Cr2, cpu->Cr3, cpu->Cr4, cpu->TscAux])
        {
            writer.UInt32(value);
        }

        for (int i = 0; i < 8; i++)
        {
            writer.UInt32(vcpu.Hvm is null && DebugRegisters.TryRead(vcpu, i, out uint value) ? value : cpu->Dr[i]);
        }

        writer.Bytes(new ReadOnlySpan<byte>(&cpu->Fx, sizeof(FxArea)));
    }

    /// <summary>
    /// Gives a processor that was just made these registers. Of a paravirtual guest's those that are the hypervisor's stay; CR0 and CR4 of an
    /// auto-translated domain's are checked with <see cref="Translator.Protection.NativePlatform.TryRestoreSystemState"/>.
    /// </summary>
    public static void Read(SectionReader reader, Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        bool pv = vcpu.Hvm is null;
        for (int i = 0; i < 8; i++)
        {
            cpu->Gpr[i] = reader.UInt32();
        }

        cpu->Eip = reader.UInt32();
        uint eflags = reader.UInt32();
        cpu->FlagOp = (uint)FlagOperation.Materialised;
        cpu->Eflags = (pv ? (eflags & PvEflags) | Flags.If : eflags & EflagsBits) | Flags.Fixed;
        cpu->Cpl = reader.Byte();
        cpu->InterruptShadow = reader.Byte();
        if (cpu->Cpl > 3 || (pv && cpu->Cpl == 0) || cpu->InterruptShadow > 2)
        {
            throw reader.Error("the processor's privilege level is none that it can have");
        }

        for (int i = 0; i < 6; i++)
        {
            cpu->Segments[(SegmentIndex)i] = ReadSegment(reader);
        }

        Segment ldtr = ReadSegment(reader), tr = ReadSegment(reader);
        Span<uint> words = stackalloc uint[9];
        foreach (ref uint word in words)
        {
            word = reader.UInt32();
        }

        cpu->Cr2 = words[5];
        cpu->TscAux = words[8];
        if (pv)
        {
            const uint taskSwitched = 8, ofGuest = 0xC;
            cpu->Cr0 = ControlRegisters.Cr0AtStart | (words[4] & taskSwitched);
            cpu->Cr4 = (ControlRegisters.Cr4AtStart & ~ofGuest) | (words[7] & ofGuest);
        }
        else
        {
            (cpu->Ldtr, cpu->Tr) = (ldtr, tr);
            (cpu->GdtrBase, cpu->GdtrLimit, cpu->IdtrBase, cpu->IdtrLimit) = (words[0], words[1], words[2], words[3]);
            (cpu->Cr0, cpu->Cr3, cpu->Cr4) = (words[4], words[6], words[7]);
        }

        ReadDebugRegisters(reader, vcpu);
        reader.Bytes(sizeof(FxArea)).CopyTo(new Span<byte>(&cpu->Fx, sizeof(FxArea)));
        *(uint*)((byte*)&cpu->Fx + MxcsrAt) &= MxcsrBits;
        cpu->RefreshMode();
    }

    private static void ReadDebugRegisters(SectionReader reader, Vcpu vcpu)
    {
        for (int i = 0; i < 8; i++)
        {
            uint value = reader.UInt32();
            if (vcpu.Hvm is not null)
            {
                vcpu.State->Dr[i] = value;
            }
            else if (i is not (4 or 5) && DebugRegisters.Write(vcpu, i, value) != 0)
            {
                throw reader.Error("a debug register holds what a guest can't set");
            }
        }
    }

    private static void Write(SectionWriter writer, in Segment segment)
    {
        writer.UInt16(segment.Selector);
        writer.UInt16(segment.Attributes);
        writer.UInt32(segment.Base);
        writer.UInt32(segment.Low);
        writer.UInt32(segment.High);
    }

    private static Segment ReadSegment(SectionReader reader) => new()
    {
        Selector = reader.UInt16(),
        Attributes = reader.UInt16(),
        Base = reader.UInt32(),
        Low = reader.UInt32(),
        High = reader.UInt32(),
    };
}
