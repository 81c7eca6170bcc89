using System.Buffers.Binary;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Writes the smallest static ELF executable: one loadable segment (System V ABI, i386 supplement).</summary>
internal static class ElfImage
{
    private const int HeaderBytes = 52, ProgramHeaderBytes = 32, CodeOffset = 0x1000;

    /// <summary>Writes an executable file.</summary>
    /// <param name="path">File to write; made executable for its owner.</param>
    /// <param name="address">Linear address of the segment, page aligned; also the entry point.</param>
    /// <param name="code">Contents of the segment's start.</param>
    /// <param name="memoryBytes">Length of the segment in memory; the rest is zero.</param>
    public static void Write(string path, uint address, byte[] code, uint memoryBytes)
    {
        byte[] file = new byte[CodeOffset + code.Length];
        byte[] ident = [0x7F, (byte)'E', (byte)'L', (byte)'F', 1, 1, 1];
        ident.CopyTo(file, 0);
        Half(file, 16, 2);                       // ET_EXEC
        Half(file, 18, 3);                       // EM_386
        Word(file, 20, 1);
        Word(file, 24, address);                 // entry
        Word(file, 28, HeaderBytes);             // program headers
        Half(file, 40, HeaderBytes);
        Half(file, 42, ProgramHeaderBytes);
        Half(file, 44, 2);
        ProgramHeader(file, HeaderBytes, 1, CodeOffset, address, (uint)code.Length, memoryBytes, 7);

        // PT_GNU_STACK without X: else Linux makes every readable page of a 32-bit process executable.
        ProgramHeader(file, HeaderBytes + ProgramHeaderBytes, 0x6474E551, 0, 0, 0, 0, 6);
        code.CopyTo(file, CodeOffset);
        File.WriteAllBytes(path, file);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private static void ProgramHeader(byte[] file, int at, uint type, uint offset, uint address, uint fileBytes, uint memoryBytes, uint flags)
    {
        uint[] words = [type, offset, address, address, fileBytes, memoryBytes, flags, 0x1000];
        for (int i = 0; i < words.Length; i++)
        {
            Word(file, at + (4 * i), words[i]);
        }
    }

    private static void Half(byte[] file, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), value);

    private static void Word(byte[] file, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), value);
}
