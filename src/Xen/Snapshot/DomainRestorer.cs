using Dbt.Translator;
using Dbt.Xen.Abi;
using Dbt.Xen.Hvm;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// Makes a domain of a saved state, or of one that arrives: first its header, then its pages in any order and any number of times, then the state. What
/// is read is never believed: whatever is wrong ends in a <see cref="SnapshotException"/> and in no domain, and what can't be told to be wrong is a guest
/// that harms nobody but itself.
/// </summary>
public sealed unsafe class DomainRestorer : IPageSink, IDisposable
{
    // Threads and engines that are made before the state says which processors are up.
    private const int MostPrepared = 8;

    private readonly DomainHeader _header;
    private bool _finished;

    /// <summary>Makes the domain, its processors without a state, and without pages.</summary>
    /// <param name="hypervisor">Where.</param>
    /// <param name="header">What it is.</param>
    /// <param name="engine">How its code is executed; not necessarily as it was.</param>
    /// <param name="name">Its name here.</param>
    /// <param name="uuid">Its UUID here.</param>
    public DomainRestorer(Hypervisor hypervisor, DomainHeader header, EngineOptions engine, string name, Guid uuid)
    {
        _header = header;
        Domain = hypervisor.CreateDomain(name, engine, uuid, header.Id);
        Domain.GuestId = header.Kind == ImageKind.Live ? header.Id : Domain.Id;
        if (header.IsTranslated)
        {
            Domain.MakeTranslated();
            Domain.Cpuid.Translated = Domain.GuestId;
        }
        else if (header.Kind == ImageKind.Suspended)
        {
            Domain.Memory.Relocation = new FrameRelocation(Domain);
        }

        // What it may have is in the state; a guest that was just told to give memory back has more.
        Domain.Memory.MaxPages = Math.Max(header.MaxPages, header.Pages);

        // Before the state comes, for which a guest may be held.
        try
        {
            for (int id = 0; id < header.Vcpus; id++)
            {
                Domain.Vcpus.Add(new Vcpu(Domain, id));
            }

            foreach (Vcpu vcpu in Domain.Vcpus.Take(MostPrepared))
            {
                vcpu.Prepare();
            }
        }
        catch (OutOfMemoryException)
        {
            Domain.Dispose();
            throw;
        }
    }

    /// <summary>The domain. Until <see cref="Finish"/> there is nothing to do with it.</summary>
    public Domain Domain { get; }

    /// <summary>At what moment its state was taken.</summary>
    public ImageKind Kind => _header.Kind;

    /// <inheritdoc/>
    public uint PageCount => Domain.Memory.PageCount;

    /// <summary>Gives it the pages of an image, copy-on-write.</summary>
    /// <param name="image">The image.</param>
    /// <param name="state">What <see cref="Finish"/> gets afterwards.</param>
    /// <exception cref="SnapshotException">They are not good, or the machine has no memory left.</exception>
    public void Populate(MemoryImage image, StateReader state) => image.Populate(Domain.Memory, state.Copy());

    /// <inheritdoc/>
    public Span<byte> Page(uint number) => Page(number, out _);

    /// <summary>As <see cref="Page(uint)"/>.</summary>
    /// <param name="number">The page's number.</param>
    /// <param name="fresh">Whether the domain didn't have it before: it is zero, and takes no memory of the host's yet.</param>
    /// <exception cref="SnapshotException">It can't have that page.</exception>
    public Span<byte> Page(uint number, out bool fresh)
    {
        uint mfn = Domain.Memory.FindPage(number);
        fresh = mfn == 0;
        if (mfn == 0)
        {
            lock (_header)
            {
                mfn = Domain.Memory.FindPage(number);
                mfn = mfn == 0 ? Domain.Memory.AddPageAt(number) : mfn;
            }
        }

        return mfn != 0 ? new Span<byte>(Domain.Hypervisor.Machine.Frame(mfn), Layout.PageSize)
            : throw new SnapshotException($"saved state: {Domain.Memory.PageRefusal(number)}");
    }

    /// <summary>
    /// Takes the state up. Afterwards the domain is paused once, as by <see cref="Xen.Domain.Pause"/>, its processors' threads are there, and its devices are to
    /// be attached; <see cref="Xen.Domain.Resume"/> then lets it go on. Disposing this does nothing any more.
    /// </summary>
    /// <param name="state">Sections of <see cref="DomainState.Capture"/>; others are left in it.</param>
    /// <exception cref="SnapshotException">They are not good.</exception>
    public void Finish(StateReader state)
    {
        bool fresh = _header.Kind == ImageKind.Suspended;
        Domain.Pause();
        DomainState.Restore(Domain, state, fresh);
        if (fresh)
        {
            ConnectRings();
        }

        if (Domain.Vcpus.TrueForAll(static vcpu => !vcpu.IsUp))
        {
            throw new SnapshotException("saved state: none of its processors is up");
        }

        Domain.Memory.Relocation = null;
        Domain.Vcpus.ForEach(static vcpu => vcpu.StartHeld());
        _finished = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_finished)
        {
            Domain.Dispose();
        }
    }

    // As the domain builder does: new ports, which the guest asks for by its parameters, or finds in its start_info.
    private void ConnectRings()
    {
        if (!Domain.Events.TryAllocateForBackend(out uint store) || !Domain.Events.TryAllocateForBackend(out uint console))
        {
            throw new InvalidOperationException("a new domain has no event channel left");
        }

        (Domain.StorePort, Domain.ConsolePort) = (store, console);
        if (Domain.Hvm is { } hvm)
        {
            hvm.Parameters[HvmParameters.StorePort] = store;
            hvm.Parameters[HvmParameters.ConsolePort] = console;
        }
        else
        {
            SuspendedPv.RestoreStartInfo(Domain);
        }
    }
}
