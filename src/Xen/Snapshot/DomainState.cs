using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// All of a domain but the contents of its pages, as sections. Each class writes what it owns; here is the order, and what is the domain's own.
/// docs/ARCHITECTURE.md tells how the parts go together.
/// </summary>
public static unsafe class DomainState
{
    private const byte NoReason = byte.MaxValue;
    private const long LongestTime = long.MaxValue >> 2;

    /// <summary>The pages that a domain has now, which go their own way. The domain may run: what changes meanwhile is in the list or not.</summary>
    public static IReadOnlyList<GuestPage> Pages(Domain domain) => domain.Memory.ListPages();

    /// <summary>The machine frame of a page by its number; 0 where the domain has none. The domain may run.</summary>
    public static uint FindPage(Domain domain, uint number) => domain.Memory.FindPage(number);

    /// <summary>
    /// Writes a domain's sections, from <see cref="SectionType.Domain"/> to <see cref="SectionType.HvmVcpu"/>. The domain is paused
    /// (<see cref="Domain.Pause"/>), or has stopped, and its devices are quiesced.
    /// </summary>
    /// <exception cref="SnapshotException">It shares memory or events with other domains.</exception>
    public static void Capture(Domain domain, StateWriter writer)
    {
        domain.Hypervisor.Timers.Settle();
        domain.Memory.SettleHeld();
        writer.Section(SectionType.Domain, section => CaptureDomain(domain, section));
        writer.Section(SectionType.Cpuid, domain.Cpuid.Capture);
        domain.Memory.CaptureFrames(writer);
        writer.Section(SectionType.Events, domain.Events.Capture);
        writer.Section(SectionType.Grants, domain.Grants.Capture);
        if (domain.Hvm is { } hvm)
        {
            writer.Section(SectionType.Hvm, hvm.Capture);
        }
        else
        {
            domain.Memory.CapturePins(writer);
        }

        foreach (Vcpu vcpu in domain.Vcpus)
        {
            writer.Section(SectionType.Vcpu, (uint)vcpu.Id, vcpu.Capture);
            if (vcpu.Hvm is { } processor)
            {
                writer.Section(SectionType.HvmVcpu, (uint)vcpu.Id, processor.Capture);
            }
            else
            {
                writer.Section(SectionType.PvVcpu, (uint)vcpu.Id, vcpu.CapturePv);
            }
        }
    }

    /// <summary>A domain that has suspended itself, of which a state is to be made from which it goes on in another one.</summary>
    /// <exception cref="SnapshotException">It doesn't say what has to be known for that. It can go on where it is.</exception>
    public static void CheckSuspended(Domain domain)
    {
        if (!domain.IsTranslated)
        {
            SuspendedPv.Check(domain);
        }
    }

    /// <summary>Takes them up, in a domain that has its processors and whose pages have been put. It is paused.</summary>
    internal static void Restore(Domain domain, StateReader state, bool fresh)
    {
        SectionReader own = state.Take(SectionType.Domain);
        long now = own.Int64(0, LongestTime, "the domain's time");
        domain.Clock.SetPaused(now);
        domain.Cpuid.Restore(state.Take(SectionType.Cpuid));
        uint[] givenUp = domain.Memory.RestoreFrames(state);
        RestoreDomain(domain, own, fresh);
        SectionReader events = state.Take(SectionType.Events), grants = state.Take(SectionType.Grants);
        if (!fresh)
        {
            domain.Events.Restore(events);
            domain.Grants.Restore(grants);
        }

        // After all that a guest may map is there.
        if (domain.Hvm is { } hvm)
        {
            hvm.Restore(state.Take(SectionType.Hvm));
        }
        else
        {
            domain.Memory.RestorePins(state);
        }

        foreach (Vcpu vcpu in domain.Vcpus)
        {
            vcpu.Restore(state.Take(SectionType.Vcpu, (uint)vcpu.Id), now, fresh);
            if (vcpu.Hvm is { } processor)
            {
                processor.Restore(state.Take(SectionType.HvmVcpu, (uint)vcpu.Id), now, fresh);
            }
            else
            {
                vcpu.RestorePv(state.Take(SectionType.PvVcpu, (uint)vcpu.Id));
            }
        }

        domain.Memory.ReleaseGivenUp(givenUp);
    }

    private static void CaptureDomain(Domain domain, SectionWriter writer)
    {
        writer.Int64(domain.Clock.Now);
        writer.UInt32(domain.VmAssist);
        writer.Flag(domain.CancelsSuspend);
        writer.Byte(domain.LatchedReason is { } reason ? (byte)reason : NoReason);
        writer.UInt64(domain.ConfiguredKib.Target);
        writer.UInt64(domain.ConfiguredKib.Maximum);
        writer.UInt32(domain.Memory.MaxPages);
        writer.UInt32(domain.GuestFrameOf(domain.StoreMfn));
        writer.UInt32(domain.StorePort);
        writer.UInt32(domain.GuestFrameOf(domain.ConsoleMfn));
        writer.UInt32(domain.ConsolePort);
        writer.UInt32(domain.EoiMfn);
        domain.Watchdogs.Capture(writer);
        HypervisorPage.Write(writer, domain, domain.SharedInfoMfn);
    }

    private static void RestoreDomain(Domain domain, SectionReader reader, bool fresh)
    {
        domain.VmAssist = reader.UInt32();
        domain.CancelsSuspend = reader.Flag();
        byte reason = reader.Byte();
        domain.LatchedReason = reason == NoReason ? null : (ShutdownReason)reason;
        domain.ConfiguredKib = (reader.UInt64(), reader.UInt64());
        domain.Memory.MaxPages = reader.UInt32();
        domain.StoreMfn = RingFrame(domain, reader);
        domain.StorePort = reader.UInt32();
        domain.ConsoleMfn = RingFrame(domain, reader);
        domain.ConsolePort = reader.UInt32();
        uint eoi = reader.UInt32();
        domain.Watchdogs.Restore(reader, fresh);
        if (!fresh && eoi != 0 && (!domain.Memory.TryGetPageAndType(eoi, PageType.Writable) || !domain.TrySetEoiPage(eoi)))
        {
            throw reader.Error("the page of PHYSDEVOP_pirq_eoi_gmfn is none that it can be");
        }

        if (fresh)
        {
            _ = reader.UInt32();
            ReadOnlySpan<byte> before = reader.Bytes(Layout.PageSize);
            if (!domain.Memory.TryAllocateHypervisorPage(out uint mfn, guestWritable: true))
            {
                throw new SnapshotException("the machine has no memory left for the guest");
            }

            // All ports masked, as Xen's tools leave them: the guest unmasks those that it had open.
            domain.SharedInfoMfn = mfn;
            new Span<byte>(domain.SharedInfo + SharedInfoLayout.EventMask, SharedInfoLayout.WallclockVersion - SharedInfoLayout.EventMask).Fill(0xFF);
            SuspendedPv.RestoreSharedInfo(domain, before);
        }
        else
        {
            domain.AdoptSharedInfo(HypervisorPage.Read(reader, domain));
        }

        reader.End();
    }

    private static uint RingFrame(Domain domain, SectionReader reader)
    {
        uint number = reader.UInt32();
        uint mfn = domain.Memory.FindPage(number);
        return mfn != 0 ? mfn : throw reader.Error($"the page {number:x} of a ring is none of the guest's");
    }
}
