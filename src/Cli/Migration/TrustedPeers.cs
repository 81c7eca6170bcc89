using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Migration;

/// <summary>
/// Whose daemons may send guests here, and get some from here: certificates in a folder, a file each, by names that the user gives. A daemon with
/// the user's own key is trusted as well: it is the user's. Read anew each time, so a change holds at once.
/// </summary>
/// <param name="folder">That of <see cref="MigrationIdentity"/>.</param>
internal sealed class TrustedPeers(string folder)
{
    private const string Extension = ".pem";
    private const int MostBytes = 64 << 10;

    private readonly string _folder = Path.Combine(folder, "trusted");

    /// <summary>Whom, by name.</summary>
    /// <exception cref="MigrationException">A file can't be read, or is no certificate.</exception>
    public IReadOnlyList<(string Name, X509Certificate2 Certificate)> List()
    {
        if (!Directory.Exists(_folder))
        {
            return [];
        }

        return [.. Directory.EnumerateFiles(_folder, "*" + Extension).Order(StringComparer.Ordinal)
            .Select(static file => (Path.GetFileNameWithoutExtension(file), Read(File.ReadAllText(file), file)))];
    }

    /// <summary>Trusts one more.</summary>
    /// <param name="name">The user's name for it: letters, digits, '.', '-', '_'.</param>
    /// <param name="pem">The certificate.</param>
    /// <exception cref="MigrationException">It is none, or the name is taken or no name.</exception>
    public X509Certificate2 Add(string name, string pem)
    {
        string path = PathOf(name);
        X509Certificate2 certificate = Read(pem, "the certificate");
        PrivateFolder.Make(folder, "set XDG_CONFIG_HOME");
        PrivateFolder.Make(_folder, "set XDG_CONFIG_HOME");
        try
        {
            using var writer = new StreamWriter(new FileStream(path, FileMode.CreateNew, FileAccess.Write));
            writer.WriteLine(certificate.ExportCertificatePem());
        }
        catch (IOException) when (File.Exists(path))
        {
            throw new MigrationException($"{name} is trusted already; dbt migrate-trust --remove {name} ends that");
        }

        return certificate;
    }

    /// <summary>Trusts one no longer.</summary>
    /// <exception cref="MigrationException">There is none of that name.</exception>
    public void Remove(string name)
    {
        string path = PathOf(name);
        if (!File.Exists(path))
        {
            throw new MigrationException($"{name} is not trusted (dbt migrate-trust --list shows who is)");
        }

        File.Delete(path);
    }

    /// <summary>The name of a peer that is trusted; null of any other.</summary>
    /// <exception cref="MigrationException">A file can't be read, or is no certificate.</exception>
    public string? NameOf(X509Certificate certificate, X509Certificate own)
    {
        byte[] raw = certificate.GetRawCertData();
        return raw.AsSpan().SequenceEqual(own.GetRawCertData()) ? "this user"
            : List().FirstOrDefault(peer => peer.Certificate.RawDataMemory.Span.SequenceEqual(raw)).Name;
    }

    private string PathOf(string name)
    {
        bool isName = name.Length is > 0 and < 100 && name[0] != '.' && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
        return isName ? Path.Combine(_folder, name + Extension)
            : throw new MigrationException($"'{name}' is no name for a peer: letters, digits, '.', '-' and '_' are");
    }

    private static X509Certificate2 Read(string pem, string what)
    {
        try
        {
            return pem.Length <= MostBytes ? X509Certificate2.CreateFromPem(pem) : throw new MigrationException($"{what}: too long for a certificate");
        }
        catch (CryptographicException exception)
        {
            throw new MigrationException($"{what}: no certificate in PEM (dbt migrate-key shows one): {exception.Message}", exception);
        }
    }
}
