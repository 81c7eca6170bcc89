using System.Buffers.Binary;
using System.IO.Compression;
using Dbt.Cli.Running;
using Dbt.Tests.Xen.Builder;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Builder;
using Dbt.Xen.Diagnostics;
using static Dbt.Tests.Xen.Builder.ElfWriter;

namespace Dbt.Perf.Fuzz.Kinds;

/// <summary>
/// Kernel images that mean harm: our own guest's, and small ELF and bzImage files of our own making, with fields changed, cut short, packed.
/// What is refused is refused with a reason; what loads is run for a moment.
/// </summary>
internal sealed class ImageFuzz : IFuzzKind
{
    private const int Milliseconds = 20;
    private readonly byte[][] _images;

    public ImageFuzz()
    {
        byte[] pv = Small(pvh: false), pvh = Small(pvh: true);
        _images = [EmbeddedGuest.Load(), pv, pvh, Packed(pv), BzImage(Packed(pv)), Packed(pvh), BzImage(pvh)];
    }

    /// <inheritdoc/>
    public int LongestCase => 300;

    /// <inheritdoc/>
    public void Run(FuzzInput input, FuzzArena arena)
    {
        byte[] image = Change(_images[input.Below(_images.Length)], input);
        if (input.OneIn(8))
        {
            image = Packed(image);
        }

        var request = new BuildRequest
        {
            Kernel = image,
            MemoryMiB = 1 + input.Below(24),
            Vcpus = 1 + input.Below(3),
            Ramdisk = input.OneIn(3) ? new byte[input.Word()] : null,
            CommandLine = new string('c', input.Word() % 1100),
        };
        Domain domain = arena.Hypervisor.CreateDomain("image", new EngineOptions { Kind = input.OneIn(2) ? EngineKind.Quick : EngineKind.Interpreter, BackgroundCompile = false });
        try
        {
            DomainPlan plan = DomainBuilder.Prepare(request);
            domain.Symbols = new Lazy<SymbolTable?>(() => SymbolTable.ReadKernel(image));
            DomainBuilder.Build(domain, plan);
            arena.Notes.Met("image", 1);
            Try(domain, arena, input);
        }
        catch (DomainBuildException refused)
        {
            arena.Notes.Met("image", string.GetHashCode(string.Concat(refused.Message.Where(static letter => !char.IsAsciiHexDigit(letter))), StringComparison.Ordinal));
        }
        finally
        {
            domain.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static void Try(Domain domain, FuzzArena arena, FuzzInput input)
    {
        domain.Vcpus[0].Start();
        domain.Stopped.Wait(input.OneIn(2) ? Milliseconds : 1);
        long begin = System.Diagnostics.Stopwatch.GetTimestamp();
        domain.Shutdown(ShutdownReason.Poweroff);
        foreach (Vcpu vcpu in domain.Vcpus)
        {
            vcpu.Stop();
        }

        arena.Notes.Ended(domain.CrashReport is not null, (long)System.Diagnostics.Stopwatch.GetElapsedTime(begin).TotalMilliseconds, "");
        _ = domain.CrashReport?.Text;
    }

    // Mostly what lies at the beginning, where headers are, and around them what looks like a number.
    private static byte[] Change(byte[] from, FuzzInput input)
    {
        byte[] image = [.. from];
        for (int changes = input.OneIn(3) ? input.Below(12) : input.Below(3); changes > 0 && input.HasMore; changes--)
        {
            int at = input.Below(3) switch
            {
                0 => input.Below(Math.Min(image.Length, 256)),
                1 => (int)(input.Dword() % (uint)image.Length),
                _ => Math.Max(0, image.Length - 1 - input.Below(2048)),
            };
            switch (input.Below(5))
            {
                case 0:
                    image[at] ^= (byte)(1 << input.Below(8));
                    break;
                case 1:
                    image[at] = input.Byte();
                    break;
                case 2 when at + 4 <= image.Length:
                    BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(at & ~3), input.Of<uint>([0, 1, 0x1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFF000, 0xC0000000, 0xF5800000, (uint)image.Length]));
                    break;
                case 3 when at + 4 <= image.Length:
                    BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(at & ~3), BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(at & ~3)) + (uint)(sbyte)input.Byte());
                    break;
                default:
                    image = input.OneIn(8) ? image[..Math.Max(1, at)] : image;
                    break;
            }
        }

        return image;
    }

    // Code that does nothing for ever, notes, and a symbol table's sections.
    private static byte[] Small(bool pvh)
    {
        const uint Base = 0xC0000000, Entry = 0x100000;
        byte[] code = [0x90, 0xEB, 0xFD, .. new byte[64]];
        ElfWriter elf = new ElfWriter { Entry = Base + Entry }.Load(Base + Entry, code, physical: Entry, memorySize: 0x3000)
            .Section(".symtab", 2, new byte[48], link: 2, entrySize: 16).Section(".strtab", 3, "\0name\0other\0"u8.ToArray());
        elf = pvh ? elf.NoteSegment(Note(18, Entry), Note(6, "small"))
            : elf.NoteSegment(Note(6, "small"), Note(5, "xen-3.0"), Note(3, Base), Note(1, Base + Entry), Note(2, Base + Entry + 0x1000), Note(9, "yes"), Note(8, "generic"), Note(10, "!writable_page_tables|pae_pgdir_above_4gb"));
        return elf.Build();
    }

    private static byte[] Packed(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(bytes);
        }

        return packed.ToArray();
    }

    private static byte[] BzImage(byte[] payload)
    {
        byte[] image = new byte[1024 + payload.Length];
        image[0x1F1] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x1FE), 0xAA55);
        "HdrS"u8.CopyTo(image.AsSpan(0x202));
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(0x206), 0x020C);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(0x248), 0);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(0x24C), (uint)payload.Length);
        payload.CopyTo(image, 1024);
        return image;
    }
}
