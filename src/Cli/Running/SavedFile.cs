using Dbt.Cli.Api;
using Dbt.Devices;
using Dbt.Devices.Snapshot;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Snapshot;
using Google.Protobuf;
using Domain = Dbt.Xen.Domain;

namespace Dbt.Cli.Running;

/// <summary>A saved guest's file that is open to be restored.</summary>
internal sealed class SavedFile : SavedGuest, IDisposable
{
    private readonly FileStream _file;
    private readonly SnapshotReader _reader;
    private readonly Action<SnapshotProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private StateReader? _state;

    private SavedFile(FileStream file, SnapshotReader reader, SavedConfiguration configuration, Action<SnapshotProgress>? progress, CancellationToken cancellation)
    {
        _file = file;
        _reader = reader;
        _progress = progress;
        _cancellation = cancellation;
        Origin = configuration.Request;
        KernelDigest = configuration.KernelDigest.ToByteArray();
    }

    /// <inheritdoc/>
    public override string Source => _file.Name;

    /// <summary>The request by which it was made once.</summary>
    public CreateRequest Origin { get; }

    /// <inheritdoc/>
    public override byte[] KernelDigest { get; }

    /// <inheritdoc/>
    public override bool IsLive => Header.Kind == ImageKind.Live;

    /// <summary>What the domain is.</summary>
    public DomainHeader Header => _reader.Header;

    /// <summary>Opens a file.</summary>
    /// <exception cref="SnapshotException">It is no saved guest, or a damaged one.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static SavedFile Open(string path, Action<SnapshotProgress>? progress, CancellationToken cancellation)
    {
        const int buffer = 1 << 20;
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, buffer, FileOptions.SequentialScan);
        try
        {
            var reader = new SnapshotReader(file);
            return new SavedFile(file, reader, SavedConfiguration.Parser.ParseFrom(reader.Configuration), progress, cancellation)
            {
                Name = reader.Header.Name,
                Uuid = reader.Header.Uuid,
            };
        }
        catch (Exception exception)
        {
            file.Dispose();
            throw exception is InvalidProtocolBufferException ? new SnapshotException("what the guest was made from can't be read: it is damaged", exception) : exception;
        }
    }

    /// <inheritdoc/>
    public override Domain Build(Hypervisor machine, EngineOptions engine)
    {
        using var restorer = new DomainRestorer(machine, Header, engine, Name, Uuid);
        _state = Read(restorer);
        restorer.Finish(_state);
        return restorer.Domain;
    }

    /// <inheritdoc/>
    public override DeviceHost AttachDevices(Domain domain, DeviceConfiguration configuration) => AttachDevices(domain, configuration, _state!);

    /// <summary>Reads all of it. Once.</summary>
    /// <param name="memory">Gets the memory.</param>
    /// <returns>The state.</returns>
    /// <exception cref="SnapshotException">It is damaged.</exception>
    public StateReader Read(IPageSink memory) => _reader.Read(memory, _progress, _cancellation);

    /// <inheritdoc/>
    public void Dispose()
    {
        _reader.Dispose();
        _file.Dispose();
    }
}
