using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>What a file of compiled code says of itself.</summary>
/// <param name="Title">What it was made for.</param>
/// <param name="Regions">Regions.</param>
/// <param name="WithCode">Those of them whose machine code it holds.</param>
/// <param name="CodeBytes">Bytes of that.</param>
/// <param name="IsCurrent">Whether the machine code can be used by this version on this processor.</param>
/// <param name="CompileMilliseconds">What compiling all of them took.</param>
public sealed record CodeFileSummary(string Title, int Regions, int WithCode, long CodeBytes, bool IsCurrent, double CompileMilliseconds);

/// <summary>
/// A <see cref="CodeStore"/> in a file. A file that is damaged is ignored as a whole; of one that another version wrote, or for another
/// processor, only what was compiled is used, and not its code.
/// </summary>
public static class CodeStoreFile
{
    // What nobody has used in so many runs is not written again.
    private const int MostIdleRuns = 16;
    private const long MostBytes = 64L << 20;
    private const int DigestAt = 8 + CodeVersion.Length;
    private const int BodyAt = DigestAt + SHA256.HashSizeInBytes;

    // The last byte is the version of the format.
    private static ReadOnlySpan<byte> Magic => "DBTCODE\u0001"u8;

    /// <summary>Adds a file's regions to a store.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or no such file.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static CodeFileSummary Load(string path, CodeStore store)
    {
        ArgumentNullException.ThrowIfNull(store);
        return Read(path, store.Add);
    }

    /// <summary>What is in a file.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or no such file.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static CodeFileSummary Summarise(string path) => Read(path, _ => { });

    /// <summary>Writes a store to a file that only its owner may read, which takes the place of the old one when it is complete.</summary>
    /// <param name="path">The file.</param>
    /// <param name="title">What it is for.</param>
    /// <param name="store">What it gets.</param>
    /// <exception cref="IOException">It can't be written.</exception>
    public static void Save(string path, string title, CodeStore store)
    {
        ArgumentNullException.ThrowIfNull(store);
        using var body = new MemoryStream();
        using (var writer = new BinaryWriter(body, Encoding.UTF8, leaveOpen: true))
        {
            writer.Write(title);
            var regions = store.Snapshot().Where(region => region.IsUsed || region.IdleRuns < MostIdleRuns)
                .OrderByDescending(region => region.LastUse).ThenBy(region => region.IdleRuns).ToList();
            long countAt = body.Length;
            int count = 0;
            writer.Write(count);
            foreach (StoredRegion region in regions)
            {
                if (body.Length > MostBytes)
                {
                    break;
                }

                ReadOnlyMemory<byte> code = region.ToBytes();
                writer.Write(region.Nanoseconds);
                writer.Write(region.IsUsed ? 0 : region.IdleRuns + 1);
                writer.Write(region.Shape.Key.Length);
                writer.Write(region.Shape.Key);
                writer.Write(code.Length);
                writer.Write(code.Span);
                count++;
            }

            writer.Flush();
            BinaryPrimitives.WriteInt32LittleEndian(body.GetBuffer().AsSpan((int)countAt), count);
        }

        ReadOnlySpan<byte> content = body.GetBuffer().AsSpan(0, (int)body.Length);
        string unfinished = $"{path}.{Environment.ProcessId}";
        try
        {
#pragma warning disable CA1416 // there is no Windows build
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite };
#pragma warning restore CA1416
            using (var file = new FileStream(unfinished, options))
            {
                file.Write(Magic);
                file.Write(CodeVersion.Current);
                file.Write(SHA256.HashData(content));
                file.Write(content);
            }

            File.Move(unfinished, path, overwrite: true);
        }
        catch
        {
            File.Delete(unfinished);
            throw;
        }
    }

    private static CodeFileSummary Read(string path, Action<StoredRegion> add)
    {
#pragma warning disable CA1416 // there is no Windows build
        if ((File.GetUnixFileMode(path) & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) != 0)
#pragma warning restore CA1416
        {
            throw new InvalidDataException("others may write to it");
        }

        byte[] file = File.ReadAllBytes(path);
        if (file.Length < BodyAt || !file.AsSpan(0, Magic.Length).SequenceEqual(Magic))
        {
            throw new InvalidDataException("it is no file of compiled code, or one of another format");
        }

        if (!SHA256.HashData(file.AsSpan(BodyAt)).AsSpan().SequenceEqual(file.AsSpan(DigestAt, SHA256.HashSizeInBytes)))
        {
            throw new InvalidDataException("it is damaged");
        }

        bool current = file.AsSpan(Magic.Length, CodeVersion.Length).SequenceEqual(CodeVersion.Current);
        try
        {
            return Parse(file, current, add);
        }
        catch (Exception exception) when (exception is IOException or FormatException or ArgumentException or OverflowException or IndexOutOfRangeException)
        {
            throw new InvalidDataException($"it makes no sense: {exception.Message}", exception);
        }
    }

    private static CodeFileSummary Parse(byte[] file, bool current, Action<StoredRegion> add)
    {
        using var stream = new MemoryStream(file, BodyAt, file.Length - BodyAt);
        using var reader = new BinaryReader(stream, Encoding.UTF8);
        string title = reader.ReadString();
        int count = reader.ReadInt32(), withCode = 0;
        long codeBytes = 0, nanoseconds = 0;
        var regions = new List<StoredRegion>();
        for (int i = 0; i < count; i++)
        {
            long spent = reader.ReadInt64();
            int idle = reader.ReadInt32();
            byte[] key = reader.ReadBytes(reader.ReadInt32());
            int length = reader.ReadInt32();
            var code = new ReadOnlyMemory<byte>(file, BodyAt + (int)stream.Position, length);
            stream.Position += length;
            withCode += length != 0 ? 1 : 0;
            codeBytes += length;
            nanoseconds += spent;
            var region = new StoredRegion(RegionShape.Parse(key), spent) { IdleRuns = idle };
            region.Set(current ? code : default);
            regions.Add(region);
        }

        if (count < 0 || stream.Position != stream.Length)
        {
            throw new InvalidDataException("it makes no sense: it is not as long as it says");
        }

        regions.ForEach(add);
        return new CodeFileSummary(title, count, withCode, codeBytes, current, nanoseconds / 1e6);
    }
}
