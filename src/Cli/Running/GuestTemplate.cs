using Dbt.Devices;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Snapshot;
using Domain = Dbt.Xen.Domain;

namespace Dbt.Cli.Running;

/// <summary>A saved guest that was read once, of which any number of clones can be made. They keep what they need of it.</summary>
internal sealed class GuestTemplate : IDisposable
{
    private readonly SavedFile _file;
    private readonly MemoryImage _memory;
    private readonly StateReader _state;

    /// <summary>Reads a file.</summary>
    /// <param name="file">The file, which must be there until the last clone is made.</param>
    /// <exception cref="SnapshotException">It is damaged, or of a paravirtual guest that was saved live.</exception>
    public GuestTemplate(SavedFile file)
    {
        _file = file;
        _memory = new MemoryImage(file.Header);
        try
        {
            _state = file.Read(_memory);
        }
        catch
        {
            _memory.Dispose();
            throw;
        }
    }

    /// <summary>A clone to be made.</summary>
    /// <param name="name">Its name. It gets a UUID of its own.</param>
    public SavedGuest Clone(string name) => new Copy(this, _state.Copy()) { Name = name, Uuid = Guid.NewGuid() };

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();

    private sealed class Copy(GuestTemplate template, StateReader state) : SavedGuest
    {
        /// <inheritdoc/>
        public override string Source => template._file.Source;

        /// <inheritdoc/>
        public override byte[] KernelDigest => template._file.KernelDigest;

        /// <inheritdoc/>
        public override bool IsLive => template._file.IsLive;

        /// <inheritdoc/>
        public override bool HasOverlays => true;

        /// <inheritdoc/>
        public override Domain Build(Hypervisor machine, EngineOptions engine)
        {
            using var restorer = new DomainRestorer(machine, template._file.Header, engine, Name, Uuid);
            restorer.Populate(template._memory, state);
            restorer.Finish(state);
            return restorer.Domain;
        }

        /// <inheritdoc/>
        public override DeviceHost AttachDevices(Domain domain, DeviceConfiguration configuration) => AttachDevices(domain, configuration, state);
    }
}
