using Dbt.Xen.Builder;

namespace Dbt.Xen.Snapshot;

/// <summary>What has to be known of a saved domain before its memory comes.</summary>
public sealed record DomainHeader
{
    private const int MostNameBytes = 1024;

    /// <summary>At what moment the state was taken.</summary>
    public required ImageKind Kind { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Its UUID.</summary>
    public required Guid Uuid { get; init; }

    /// <summary>Whether it is auto-translated (PVH): pages go by GFN then, in a paravirtual domain by MFN.</summary>
    public required bool IsTranslated { get; init; }

    /// <summary>The id by which the guest knows itself.</summary>
    public required ushort Id { get; init; }

    /// <summary>Virtual processors.</summary>
    public required int Vcpus { get; init; }

    /// <summary>Pages that it may have.</summary>
    public required uint MaxPages { get; init; }

    /// <summary>Pages that it had when the header was made.</summary>
    public required uint Pages { get; init; }

    /// <summary>The header of a domain as it is now. It need not be paused.</summary>
    public static DomainHeader Of(Domain domain, ImageKind kind) => new()
    {
        Kind = kind,
        Name = domain.Name,
        Uuid = domain.Uuid,
        IsTranslated = domain.IsTranslated,
        Id = domain.GuestId,
        Vcpus = domain.Vcpus.Count,
        MaxPages = domain.Memory.MaxPages,
        Pages = domain.Memory.PageCount,
    };

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="SnapshotException">It says what no domain is.</exception>
    public static DomainHeader Read(SectionReader reader)
    {
        const uint pagesPerMiB = 256;
        var header = new DomainHeader
        {
            Kind = (ImageKind)reader.UInt32(0, (uint)ImageKind.Suspended, "the kind"),
            Name = reader.Text(MostNameBytes),
            Uuid = reader.Uuid(),
            IsTranslated = reader.Flag(),
            Id = (ushort)reader.UInt32(1, Abi.Layout.DomidFirstReserved - 1, "the domain id"),
            Vcpus = (int)reader.UInt32(1, BuildRequest.MostVcpus, "the number of processors"),
            MaxPages = reader.UInt32(1, (BuildRequest.MostMemoryMiB + 1) * pagesPerMiB, "the number of pages"),
            Pages = reader.UInt32(0, (BuildRequest.MostMemoryMiB + 1) * pagesPerMiB, "the number of pages"),
        };
        reader.End();
        return header;
    }

    /// <summary>Writes it.</summary>
    public void Write(SectionWriter writer)
    {
        writer.UInt32((uint)Kind);
        writer.Text(Name);
        writer.Uuid(Uuid);
        writer.Flag(IsTranslated);
        writer.UInt32(Id);
        writer.UInt32((uint)Vcpus);
        writer.UInt32(MaxPages);
        writer.UInt32(Pages);
    }
}
