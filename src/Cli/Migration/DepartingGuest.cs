using Dbt.Cli.Control;
using Dbt.Cli.Migration.Messages;
using Dbt.Cli.Running;
using Dbt.Devices;
using Dbt.Runtime;
using Dbt.Runtime.Memory;
using Dbt.Xen;
using Dbt.Xen.Memory;
using Dbt.Xen.Snapshot;
using Google.Protobuf;

namespace Dbt.Cli.Migration;

/// <summary>A guest of this process that goes. See <see cref="ControlledMigration"/> for who keeps others off it meanwhile.</summary>
/// <param name="guest">The guest.</param>
/// <param name="domain">Its domain.</param>
/// <param name="devices">The domain's devices.</param>
/// <param name="offer">What is known of it beside the domain itself.</param>
/// <param name="suspension">By which it suspends itself before it goes; null where it is to notice nothing.</param>
/// <param name="patience">How long it is given for that.</param>
/// <param name="undecided">Called when it can't be found out where it is, with one line.</param>
internal sealed unsafe class DepartingGuest(
    Guest guest, Domain domain, DeviceHost devices, Offer offer, GuestSuspension? suspension, TimeSpan patience, Action<string> undecided) : IDepartingGuest
{
    private const int PageSize = 4096;

    private readonly List<uint> _frames = [];
    private WriteLog? _log;

    // In the first round.
    private UntouchedFrames? _untouched;
    private bool _paused, _held;

    /// <inheritdoc/>
    public Offer Describe()
    {
        var header = new SectionWriter();
        DomainHeader.Of(domain, suspension is null ? ImageKind.Live : ImageKind.Suspended).Write(header);
        offer.Header = ByteString.CopyFrom(header.Written);
        return offer;
    }

    /// <inheritdoc/>
    public IReadOnlyList<uint> Begin()
    {
        Rehearsal.Once(domain.IsTranslated);
        _log = new WriteLog(domain);

        // What is touched from now on is in the log.
        _untouched = domain.Hypervisor.Machine.FindUntouched();
        return [.. DomainState.Pages(domain).Select(static page => page.Number)];
    }

    /// <inheritdoc/>
    public void TakeWritten(List<uint> numbers)
    {
        CheckAlive();
        _untouched = null;
        _frames.Clear();
        _log!.Take(_frames);
        AddNumbers(numbers);
    }

    /// <inheritdoc/>
    public bool TryRead(uint number, Span<byte> page)
    {
        uint mfn = DomainState.FindPage(domain, number);
        if (_untouched is { } untouched && untouched.Contains(mfn))
        {
            page.Clear();
        }
        else if (mfn != 0)
        {
            new ReadOnlySpan<byte>(domain.Hypervisor.Machine.Frame(mfn), PageSize).CopyTo(page);
        }

        return mfn != 0;
    }

    /// <inheritdoc/>
    public ReadOnlySpan<byte> ListCode()
    {
        var list = new SectionWriter();
        HotCodeList.Capture(domain, list);
        return list.Written.Length <= FramedChannel.MostOffer ? list.Written : [];
    }

    /// <inheritdoc/>
    public void Prepare() => Flush();

    /// <inheritdoc/>
    public void Suspend(CancellationToken cancel)
    {
        if (suspension is null)
        {
            return;
        }

        CheckAlive();
        if (suspension.AskAsync(patience, cancel).GetAwaiter().GetResult() is { } late)
        {
            throw new MigrationException(late);
        }
    }

    /// <inheritdoc/>
    public void Hold(List<uint> last)
    {
        CheckAlive();
        _paused = true;
        domain.Pause();
        _held = true;
        devices.Hold();
        CheckAlive();
        Flush();
        _frames.Clear();
        _log!.TakeLast(_frames);
        AddNumbers(last);
    }

    /// <inheritdoc/>
    public void WriteState(Stream state)
    {
        try
        {
            if (suspension is not null)
            {
                DomainState.CheckSuspended(domain);
            }

            var writer = new StateWriter(state);
            DomainState.Capture(domain, writer);
            devices.Capture(writer);
            writer.End();
        }
        catch (SnapshotException exception)
        {
            throw new MigrationException(exception.Message, exception);
        }
    }

    /// <inheritdoc/>
    public void Stay()
    {
        _log?.Dispose();
        if (_held)
        {
            devices.Release();
        }

        if (_paused)
        {
            domain.Resume();
        }

        suspension?.GoOn();
        (_log, _held, _paused) = (null, false, false);
    }

    /// <inheritdoc/>
    public void Depart()
    {
        _log?.Dispose();
        guest.Departed();
    }

    /// <inheritdoc/>
    public void TellUndecided(string why) => undecided(why);

    // The disks' other user reads them from the storage.
    private void Flush()
    {
        try
        {
            devices.FlushDisks();
        }
        catch (HostException exception)
        {
            throw new MigrationException(exception.Message, exception);
        }
    }

    private void CheckAlive()
    {
        if (domain.IsStopped)
        {
            throw new MigrationException("it has stopped");
        }
    }

    private void AddNumbers(List<uint> numbers)
    {
        foreach (uint mfn in _frames)
        {
            uint number = domain.GuestFrameOf(mfn);

            // Those of the hypervisor's, and those at no place, are in the state or nowhere.
            if (number != uint.MaxValue && DomainState.FindPage(domain, number) == mfn)
            {
                numbers.Add(number);
            }
        }
    }
}
