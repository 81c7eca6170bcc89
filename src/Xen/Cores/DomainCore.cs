using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Processor;

namespace Dbt.Xen.Cores;

/// <summary>
/// A domain's core as Xen's dump-core has it: an ELF file of sections and no segments (Xen's docs/misc/dump-core-format.txt, version 0.1), always of class 64. Both
/// kinds of domains have i386's structures, as this hypervisor is one of i386.
/// </summary>
public sealed unsafe class DomainCore
{
    private const uint Note = 7, Data = 1;
    private const int PagesBetweenReports = 1024, P2mEntry = 16, PfnEntry = 8;

    private readonly Domain _domain;
    private readonly CorePage[] _pages;
    private readonly byte[] _processors, _sharedInfo, _notes;

    private DomainCore(Domain domain)
    {
        _domain = domain;
        _pages = ListPages(domain);
        Vcpu[] vcpus = [.. domain.Vcpus.Where(static vcpu => vcpu.IsInitialised)];
        _processors = new byte[vcpus.Length * sizeof(VcpuGuestContext)];
        for (int i = 0; i < vcpus.Length; i++)
        {
            VcpuGuestContext context = vcpus[i].SaveContext();
            MemoryMarshal.Write(_processors.AsSpan(i * sizeof(VcpuGuestContext)), context);
        }

        _sharedInfo = domain.SharedInfoMfn == 0 ? [] : new ReadOnlySpan<byte>(domain.SharedInfo, Layout.PageSize).ToArray();
        _notes = CoreNotes.Make(domain.IsTranslated, vcpus.Length, _pages.Length);
    }

    /// <summary>Pages of the core.</summary>
    public int PageCount => _pages.Length;

    /// <summary>Takes down registers, shared_info and which pages there are. The domain is paused, or has stopped and its processors have ended.</summary>
    public static DomainCore Capture(Domain domain) => new(domain);

    /// <summary>
    /// Writes all of it. Pages are as they are now: the domain is still held, or they are of different moments; one that the domain has given up meanwhile is zero.
    /// </summary>
    /// <param name="stream">Where to, empty; it can seek. Zero pages are skipped, so that a file has holes.</param>
    /// <param name="progress">Told now and then how many pages are written; null for nobody.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="IOException">The stream can't be written.</exception>
    /// <exception cref="OperationCanceledException">It was ended.</exception>
    public void Write(Stream stream, Action<int>? progress, CancellationToken cancellation)
    {
        bool translated = _domain.IsTranslated;
        int entry = translated ? PfnEntry : P2mEntry;
        var elf = new CoreElf();
        elf.Add(".note.Xen", Note, _notes.Length, alignment: 4, entry: 0);
        elf.Add(".xen_prstatus", Data, _processors.Length, alignment: 4, (uint)sizeof(VcpuGuestContext));
        if (_sharedInfo.Length != 0)
        {
            elf.Add(".xen_shared_info", Data, _sharedInfo.Length, alignment: 8, Layout.PageSize);
        }

        elf.Add(".xen_pages", Data, (long)_pages.Length * Layout.PageSize, Layout.PageSize, Layout.PageSize);
        elf.Add(translated ? ".xen_pfn" : ".xen_p2m", Data, (long)_pages.Length * entry, alignment: 8, (uint)entry);
        elf.WriteHeaders(stream);
        stream.Position = elf.OffsetOf(".note.Xen");
        stream.Write(_notes);
        stream.Position = elf.OffsetOf(".xen_prstatus");
        stream.Write(_processors);
        if (_sharedInfo.Length != 0)
        {
            stream.Position = elf.OffsetOf(".xen_shared_info");
            stream.Write(_sharedInfo);
        }

        WritePages(stream, elf.OffsetOf(".xen_pages"), progress, cancellation);
        stream.Position = elf.OffsetOf(translated ? ".xen_pfn" : ".xen_p2m");
        Span<byte> place = stackalloc byte[entry];
        foreach (CorePage page in _pages)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(place, page.Pfn);
            if (!translated)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(place[PfnEntry..], page.Mfn);
            }

            stream.Write(place);
        }

        elf.WriteNames(stream);
    }

    private void WritePages(Stream stream, long offset, Action<int>? progress, CancellationToken cancellation)
    {
        Span<byte> copy = stackalloc byte[Layout.PageSize];
        bool follows = false;
        for (int i = 0; i < _pages.Length; i++)
        {
            if (i % PagesBetweenReports == 0)
            {
                cancellation.ThrowIfCancellationRequested();
                progress?.Invoke(i);
            }

            CorePage page = _pages[i];
            new ReadOnlySpan<byte>(_domain.Hypervisor.Machine.Frame(page.Mfn), Layout.PageSize).CopyTo(copy);

            // A frame that is no longer the domain's may be another's by now, and so may its bytes.
            if (_domain.Memory.FindPage(page.Number) != page.Mfn || !copy.ContainsAnyExcept((byte)0))
            {
                follows = false;
                continue;
            }

            if (!follows)
            {
                stream.Position = offset + ((long)i * Layout.PageSize);
                follows = true;
            }

            stream.Write(copy);
        }

        cancellation.ThrowIfCancellationRequested();
        progress?.Invoke(_pages.Length);
    }

    // In the order of PFNs, for who looks one up. A paravirtual guest's page that it knows by none is in no list of its own either.
    private static CorePage[] ListPages(Domain domain)
    {
        IEnumerable<CorePage> pages = domain.Memory.ListPages().Select(page =>
            new CorePage(domain.IsTranslated ? page.Number : domain.Hypervisor.MachineToPhys[page.Mfn], page.Number, page.Mfn));
        return domain.IsTranslated ? [.. pages] : [.. pages.Where(static page => page.Pfn != uint.MaxValue).OrderBy(static page => page.Pfn)];
    }

    /// <param name="Pfn">By which the guest knows it.</param>
    /// <param name="Number">Its number (see <see cref="Snapshot.GuestPage"/>).</param>
    /// <param name="Mfn">Its machine frame.</param>
    private readonly record struct CorePage(uint Pfn, uint Number, uint Mfn);
}
