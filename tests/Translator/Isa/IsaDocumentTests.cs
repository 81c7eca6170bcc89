using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Isa;

/// <summary>docs/ISA.md says what the instruction table says. With DBT_ISA_WRITE=1 it is written anew.</summary>
public sealed unsafe class IsaDocumentTests
{
    /// <summary>The document is what the table and the counts give.</summary>
    [Fact]
    public void Document_IsUpToDate()
    {
        string folder = Path.Combine(Root(), "docs"), path = Path.Combine(folder, "ISA.md");
        var document = new IsaDocument(new VectorRuns(Path.Combine(folder, "isa-vectors.tsv")));
        string text = document.Write();
        if (Environment.GetEnvironmentVariable("DBT_ISA_WRITE") == "1")
        {
            File.WriteAllText(path, text);
        }

        Assert.True(document.Unexplained.Count == 0, $"neither in the table nor explained: {string.Join(' ', document.Unexplained)}");
        Assert.True(text == File.ReadAllText(path), "docs/ISA.md is out of date: DBT_ISA_WRITE=1 ./test FullyQualifiedName~IsaDocument");
    }

    /// <summary>What the processor does not have raises #UD, and the platform is told its name: absent from the table, and in it as missing.</summary>
    [Theory]
    [InlineData("interpreter")]
    [InlineData("quick")]
    [InlineData("optimized")]
    public void MissingInstruction_IsUndefinedAndNamed(string engineName)
    {
        (Action<Assembler> Write, string Name)[] missing =
        [
            (a => a.vaddps(ymm0, ymm1, ymm2), nameof(Mnemonic.Vaddps)),
            (a => a.xsave(__[ebx]), nameof(Mnemonic.Xsave)),
            (a => a.vmxon(__qword_ptr[ebx]), nameof(Mnemonic.Vmxon)),
        ];
        foreach ((Action<Assembler> write, string name) in missing)
        {
            using var platform = new TestPlatform();
            platform.Assemble(0x1000, a =>
            {
                a.mov(eax, 1);
                write(a);
            });
            using Engine engine = EngineUnderTest.Create(engineName, platform);
            platform.Cpu->Eip = 0x1000;
            platform.OnFault = _ =>
            {
                platform.Stop();
                return true;
            };
            engine.Run(platform.Cpu);
            Assert.Equal(Vector.InvalidOpcode, platform.Faults[0].Vector);
            Assert.Equal(0x1005u, platform.FaultEips[0]);
            Assert.Equal([name], platform.Unimplemented);
        }
    }

    private static string Root()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Dbt.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("The tests do not run inside the repository.");
        }

        return folder;
    }
}
