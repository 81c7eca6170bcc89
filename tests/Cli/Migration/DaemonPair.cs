using Dbt.Tests.Cli.Hosting;

namespace Dbt.Tests.Cli.Migration;

/// <summary>Two daemons of this host that send each other guests.</summary>
internal sealed class DaemonPair : IDisposable
{
    public DaemonFolder Here { get; } = new();

    public DaemonFolder There { get; } = new();

    public string HereAddress { get; private set; } = "";

    public string ThereAddress { get; private set; } = "";

    /// <summary>A small disk that both reach.</summary>
    public string Disk()
    {
        string path = System.IO.Path.Combine(Here.Path, "disk.img");
        File.WriteAllBytes(path, new byte[100 << 10]);
        return path;
    }

    public void TrustEachOther()
    {
        foreach ((DaemonFolder from, DaemonFolder to, string name) in ((DaemonFolder, DaemonFolder, string)[])[(Here, There, "here"), (There, Here, "there")])
        {
            string file = System.IO.Path.Combine(to.Path, $"{name}.pem");
            File.WriteAllText(file, from.Run("migrate-key").Output);
            to.Do("migrate-trust", name, file);
        }
    }

    public void ListenBoth()
    {
        HereAddress = Listen(Here);
        ThereAddress = Listen(There);
    }

    /// <summary>Has a daemon listen at a free port.</summary>
    public static string Listen(DaemonFolder daemon)
    {
        const string mark = "guests may come to ";
        string said = daemon.Do("daemon", "--migration-listen", "127.0.0.1:0");
        return said[(said.IndexOf(mark, StringComparison.Ordinal) + mark.Length)..].Trim();
    }

    public void Dispose()
    {
        Here.Dispose();
        There.Dispose();
    }
}
