using Dbt.Xen.Abi;
using Dbt.Xen.Events;
using Dbt.Xen.Memory;
using Dbt.Xen.Processor;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen;

/// <content>Going on elsewhere: what is saved of a processor that is held, and taken up by one that was just made.</content>
public sealed unsafe partial class Vcpu
{
    private const uint MostPollPorts = 128, NoFrame = uint.MaxValue;

    /// <summary>What both kinds of processors have.</summary>
    internal void Capture(SectionWriter writer)
    {
        writer.Flag(IsInitialised);
        writer.Flag(IsUp);
        writer.Flag(_blockRequested);
        PollRequest? poll = _poll;
        writer.Flag(poll is not null);
        if (poll is not null)
        {
            writer.Int64(poll.Deadline);
            writer.UInt32((uint)poll.Ports.Length);
            foreach (uint port in poll.Ports)
            {
                writer.UInt32(port);
            }
        }

        writer.Flag(IsNmiDue);
        nint info = Volatile.Read(ref _registeredInfo);
        writer.UInt32(info == 0 ? NoFrame : Domain.GuestFrameOf(Domain.Hypervisor.Machine.FrameOf((byte*)info)));
        writer.UInt32(info == 0 ? 0 : (uint)(info & (Layout.PageSize - 1)));
        writer.UInt32(SecondaryTimeArea);
        ProcessorRegisters.Write(writer, this);
        RunState.Capture(writer);
        Timers.Capture(writer);
    }

    /// <summary>Takes up what <see cref="Capture"/> wrote. The domain has its memory; it is paused.</summary>
    /// <param name="reader">The section.</param>
    /// <param name="now">The domain's time.</param>
    /// <param name="fresh">What belongs to the hypervisor (vcpu_info's place, timers, areas) is as in a new domain.</param>
    internal void Restore(SectionReader reader, long now, bool fresh)
    {
        IsInitialised = reader.Flag();
        _down = !reader.Flag();
        _blockRequested = reader.Flag();
        _poll = reader.Flag() ? ReadPoll(reader) : null;
        _nmi = reader.Flag() ? 1 : 0;
        uint frame = reader.UInt32(), offset = reader.UInt32();
        uint area = reader.UInt32();
        ProcessorRegisters.Read(reader, this);
        RunState.Restore(reader, now, fresh);
        Timers.Restore(reader, now, fresh);
        reader.End();
        if (!_down && !IsInitialised)
        {
            throw reader.Error("the processor is up without a state");
        }

        if (fresh)
        {
            return;
        }

        SecondaryTimeArea = area;
        if (frame != NoFrame)
        {
            RestoreInfo(reader, frame, offset);
        }
    }

    /// <summary>What only a paravirtual guest's processor has.</summary>
    internal void CapturePv(SectionWriter writer)
    {
        for (int i = 0; i < TrapTable.Vectors; i++)
        {
            writer.Byte(Traps[i].Flags);
            writer.UInt16(Traps[i].Selector);
            writer.UInt32(Traps[i].Address);
        }

        Callbacks.Capture(writer);
        writer.UInt16(KernelSs);
        writer.UInt32(KernelSp);
        writer.UInt32(Iopl);
        writer.UInt32(IoBitmap);
        writer.UInt32(IoBitmapPorts);
        Descriptors.Capture(writer);
        writer.UInt32(BaseMfn);

        // A processor that has run has entered already.
        FirstEntry? first = _entered ? null : _firstEntry;
        writer.Flag(first is not null);
        first?.Capture(writer);
    }

    /// <summary>Takes up what <see cref="CapturePv"/> wrote, with every check that the hypercalls make. Page tables are pinned already.</summary>
    internal void RestorePv(SectionReader reader)
    {
        for (int i = 0; i < TrapTable.Vectors; i++)
        {
            Traps[i] = new TrapEntry(reader.Byte(), reader.UInt16(), reader.UInt32());
        }

        Callbacks.Restore(reader);
        KernelSs = Selectors.ForGuest(reader.UInt16());
        KernelSp = reader.UInt32();
        Iopl = reader.UInt32() & Translator.State.Flags.Iopl;
        IoBitmap = reader.UInt32();
        IoBitmapPorts = reader.UInt32(0, 65536, "the number of ports");
        Descriptors.Restore(reader, Domain.Memory);
        uint saved = reader.UInt32(), root = Domain.Memory.Relocated(saved);
        _firstEntry = reader.Flag() ? FirstEntry.Read(reader) : null;
        reader.End();
        Domain.Memory.Relocation?.RewriteTables([(root, PageType.L3)]);
        if (saved == 0 ? IsInitialised : Domain.Memory.SwitchBase(this, root) != 0)
        {
            throw reader.Error($"frame {saved:x} is no page table that the processor could have in CR3");
        }
    }

    /// <summary>Where it was up, its thread starts, and is held until the domain goes on.</summary>
    internal void StartHeld()
    {
        if (!_down)
        {
            Start();
        }
    }

    /// <summary>Makes a hypercall that suspended the domain return something, where the processor has made one.</summary>
    internal void SetResult(int result) => State->Gpr[(int)Translator.State.Gpr.Eax] = (uint)result;

    private static PollRequest ReadPoll(SectionReader reader)
    {
        long deadline = reader.Int64(0, long.MaxValue, "the end of a poll");
        uint[] ports = new uint[reader.Count((int)MostPollPorts, sizeof(uint), "ports of a poll")];
        foreach (ref uint port in ports.AsSpan())
        {
            port = reader.UInt32();
        }

        return new PollRequest(ports, deadline);
    }

    private void RestoreInfo(SectionReader reader, uint frame, uint offset)
    {
        if (offset > Layout.PageSize - SharedInfoLayout.VcpuInfoSize || (offset & 3) != 0 || !Domain.Memory.TryTranslate(frame, out uint mfn)
            || !Domain.Memory.TryGetPageAndType(mfn, PageType.Writable))
        {
            throw reader.Error("its vcpu_info lies where none can be");
        }

        Volatile.Write(ref _registeredInfo, (nint)(Domain.Hypervisor.Machine.Frame(mfn) + offset));
    }
}
