using System.Diagnostics;
using Dbt.Cli.Running;
using Dbt.Runtime;
using Dbt.Translator;
using Dbt.Xen.Snapshot;

namespace Dbt.Cli.Migration;

/// <summary>A guest that comes to this process. Until it runs it goes by another name.</summary>
/// <param name="guest">The guest, which has no domain yet.</param>
/// <param name="name">By which it is to go.</param>
/// <param name="restorer">Its domain, as far as it is there.</param>
/// <param name="networks">What its cards are plugged into, as far as it is open.</param>
/// <param name="paused">It was held by a person, and is to stay so.</param>
/// <param name="arrived">Called when it runs.</param>
/// <param name="dropped">Called when it isn't to be.</param>
internal sealed class ArrivingGuest(Guest guest, string name, DomainRestorer restorer, EarlyNetworks networks, bool paused, Action<Guest> arrived, Action dropped) : IArrivingGuest
{
    private GuestLife? _life;

    /// <inheritdoc/>
    public void Put(uint number, ReadOnlySpan<byte> page)
    {
        Span<byte> here = Page(number, out _);
        page.CopyTo(here);
        TellCode(here);
    }

    /// <inheritdoc/>
    public void PutZero(uint number)
    {
        Span<byte> page = Page(number, out bool fresh);

        // One that was never written takes no memory of the host's, and is to take none: even a look at it costs.
        if (!fresh && page.ContainsAnyExcept((byte)0))
        {
            page.Clear();
            TellCode(page);
        }
    }

    /// <inheritdoc/>
    public void PrepareCode(ReadOnlySpan<byte> list)
    {
        try
        {
            HotCodeList.Apply(restorer.Domain, new SectionReader(SectionType.HotCode, 0, list.ToArray())).Wait();
        }
        catch (SnapshotException exception)
        {
            throw new MigrationException(exception.Message, exception);
        }
    }

    /// <inheritdoc/>
    public void Finish(Stream state, IDictionary<string, ulong> took)
    {
        try
        {
            long mark = Stopwatch.GetTimestamp();
            StateReader reader = StateReader.Read(state);
            Note(took, "reading", ref mark);
            restorer.Finish(reader);
            Note(took, "domain", ref mark);
            _life = guest.Arrive(restorer.Domain, reader, restorer.Kind);
            reader.End();
            networks.Dispose();
            Note(took, "devices", ref mark);
        }
        catch (Exception exception) when (exception is SnapshotException or HostException)
        {
            throw new MigrationException(exception.Message, exception);
        }
    }

    /// <inheritdoc/>
    public void Run(TimeSpan heldFor)
    {
        _life!.GoOn(heldFor, paused);
        guest.Arrived(name);
        arrived(guest);
    }

    /// <inheritdoc/>
    public void Drop()
    {
        _life?.Dispose();
        networks.Dispose();
        restorer.Dispose();
        guest.NeverCame();
        dropped();
    }

    // Code of it may be decoded already.
    private unsafe void TellCode(Span<byte> page)
    {
        fixed (byte* host = page)
        {
            CodeMap code = restorer.Domain.Hypervisor.Machine.CodeMap;
            if (code.Watches(host))
            {
                code.Written(host, page.Length);
            }
        }
    }

    private Span<byte> Page(uint number, out bool fresh)
    {
        try
        {
            return restorer.Page(number, out fresh);
        }
        catch (SnapshotException exception)
        {
            throw new MigrationException(exception.Message, exception);
        }
    }

    private static void Note(IDictionary<string, ulong> took, string what, ref long mark)
    {
        long now = Stopwatch.GetTimestamp();
        took[what] = (ulong)(Stopwatch.GetElapsedTime(mark, now).Ticks * 100);
        mark = now;
    }
}
